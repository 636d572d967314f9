//! A method as a target.

use mpm::worker;

struct Counter(u32);

impl Counter {
    #[worker]
    fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

fn main() {
    Counter(1).count();
}
