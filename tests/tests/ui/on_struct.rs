//! `#[worker]` on a struct.

use mpm::worker;

#[worker]
#[derive(Default)]
pub(crate) struct Classifier;

fn main() {
    let _ = Classifier;
}
