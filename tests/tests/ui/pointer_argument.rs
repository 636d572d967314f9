//! Arguments that are addresses.

use mpm::worker;

#[worker]
fn length(text: *const u8, measure: fn(u8) -> u8) -> usize {
    let _ = (text, measure);
    0
}

fn main() {}
