//! Arguments that are patterns.

use mpm::worker;

#[worker]
fn add((a, b): (u8, u8)) -> u8 {
    a + b
}

#[worker]
fn ignore(_: u8) {}

fn main() {}
