//! A target with a const parameter.

use mpm::worker;

#[worker]
fn zeros<const N: usize>() -> [u8; N] {
    [0; N]
}

fn main() {}
