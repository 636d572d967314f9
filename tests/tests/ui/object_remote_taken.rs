//! A function where the generated one belongs.

use mpm::worker;

struct Counter;

#[worker]
impl Counter {
    fn new() -> Self {
        Counter
    }

    fn remote() {}
}

fn main() {
    Counter::new();
    Counter::remote();
}
