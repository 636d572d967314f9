//! A job that nobody gets.

#![deny(unused_must_use)]

use mpm::worker;

#[worker]
fn f() {}

fn main() {
    f::job();
}
