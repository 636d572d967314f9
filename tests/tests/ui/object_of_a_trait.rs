//! A trait's implementation as an object.

use mpm::worker;

struct Counter;

trait Make {
    fn new() -> Self;
}

#[worker]
impl Make for Counter {
    fn new() -> Self {
        Counter
    }
}

fn main() {
    Counter::new();
}
