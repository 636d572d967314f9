//! A trait object as an argument.

use mpm::worker;

#[worker]
fn show(value: &dyn std::fmt::Display) -> String {
    value.to_string()
}

fn main() {}
