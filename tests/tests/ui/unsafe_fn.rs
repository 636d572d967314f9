//! An unsafe function as a target.

use mpm::worker;

#[worker]
unsafe fn peek(address: usize) -> u8 {
    address as u8
}

fn main() {}
