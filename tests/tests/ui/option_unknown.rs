//! An unknown option.

use mpm::worker;

#[worker(timout = "30s")]
fn f() {}

#[mpm::test(name = "x")]
fn t() {}

fn main() {
    let _job = f::job();
}
