//! A struct that workers cannot make.

use mpm::{Worker, worker};

#[worker]
struct Counter(u32);

impl Worker for Counter {
    type Args = u32;
    type Output = u32;

    fn run(&mut self, by: u32) -> u32 {
        self.0 += by;
        self.0
    }
}

fn main() {
    let _ = Counter(1).0;
}
