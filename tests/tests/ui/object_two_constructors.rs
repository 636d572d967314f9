//! An object with two constructors, neither of which is there always.

use mpm::worker;

struct Counter;

#[worker]
impl Counter {
    #[cfg(all())]
    fn new() -> Self {
        Counter
    }

    #[cfg(any())]
    fn new() -> Self {
        Counter
    }
}

fn main() {
    Counter::new();
}
