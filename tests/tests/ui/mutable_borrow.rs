//! A `&mut` argument.

use mpm::worker;

#[worker]
fn sort(numbers: &mut Vec<u32>) {
    numbers.sort();
}

fn main() {}
