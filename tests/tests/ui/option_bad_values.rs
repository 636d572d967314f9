//! Wrong kinds of values in the other options.

use mpm::worker;

#[worker(name = three, retries = "2", crate = "mpm")]
fn f() {}

#[worker(name = "", retries = -1)]
fn g() {}

#[worker(retries = 99999999999)]
fn h() {}

fn main() {}
