//! A target with a lifetime parameter.

use mpm::worker;

#[worker]
fn length<'a>(text: &'a str) -> usize {
    text.len()
}

fn main() {}
