//! A target with a `where` clause.

use mpm::worker;

#[worker]
fn copy(value: u8) -> u8
where
    u8: Copy,
{
    value
}

fn main() {}
