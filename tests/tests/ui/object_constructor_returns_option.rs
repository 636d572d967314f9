//! A constructor that does not say why it made nothing.

use mpm::worker;

struct Counter;

#[worker]
impl Counter {
    fn new() -> Option<Self> {
        None
    }
}

fn main() {
    Counter::new();
}
