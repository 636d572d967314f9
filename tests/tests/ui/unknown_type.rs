//! A type that does not exist is told once.

use mpm::worker;

#[worker]
fn f(a: Missing, b: &Absent) -> Gone {
    g(a, b)
}

fn main() {}
