//! A `&'static` argument.

use mpm::worker;

#[worker]
fn length(text: &'static str) -> usize {
    text.len()
}

fn main() {}
