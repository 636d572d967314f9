//! An object's type that has no name of its own.

use mpm::worker;

#[worker]
impl [u8] {
    fn new() -> Box<Self> {
        Box::new([])
    }
}

fn main() {}
