//! An object that nobody can make.

use mpm::worker;

struct Counter;

#[worker]
impl Counter {
    fn count(&self) -> u32 {
        1
    }
}

fn main() {
    Counter.count();
}
