//! A target with a type parameter.

use mpm::worker;

#[worker]
fn largest<T: Ord>(values: Vec<T>) -> Option<T> {
    values.into_iter().max()
}

fn main() {}
