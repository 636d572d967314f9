//! The error of a constructor that cannot be shown.

use mpm::worker;

struct Silent;

struct Counter;

#[worker]
impl Counter {
    fn new() -> Result<Self, Silent> {
        Err(Silent)
    }
}

fn main() {
    drop(Counter::new().is_ok());
}
