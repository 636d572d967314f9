//! A variadic function as a target.

use mpm::worker;

#[worker]
unsafe extern "C" fn print(count: u8, arguments: ...) {}

fn main() {}
