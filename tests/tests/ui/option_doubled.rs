//! An option that is given twice.

use mpm::worker;

#[worker(retries = 1, retries = 2)]
fn f() {}

fn main() {}
