//! An `impl Trait` argument.

use mpm::worker;

#[worker]
fn total(numbers: impl Iterator<Item = u32>) -> u32 {
    numbers.sum()
}

fn main() {}
