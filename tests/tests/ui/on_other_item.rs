//! `#[worker]` on items of other kinds.

use mpm::worker;

#[worker]
const F: fn() = main;

#[worker]
mod inner {}

#[worker]
trait Run {
    fn run();
}

#[worker]
type Alias = fn(u8);

fn main() {}
