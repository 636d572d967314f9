//! `#[worker]` on an impl block.

use mpm::worker;

struct Classifier;

#[worker]
impl Classifier {
    fn new() -> Self {
        Classifier
    }
}

fn main() {
    Classifier::new();
}
