//! An extern function as a target.

use mpm::worker;

#[worker]
extern "C" fn callback(code: i32) -> i32 {
    code
}

fn main() {}
