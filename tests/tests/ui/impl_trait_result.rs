//! An `impl Trait` result.

use mpm::worker;

#[worker]
fn numbers(to: u32) -> impl Iterator<Item = u32> {
    0..to
}

fn main() {}
