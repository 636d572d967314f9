//! A program with two targets of one name, and one that is looked for and not registered. `tests/tests/init.rs` runs it.

use mpm::{Pool, worker};

#[worker(name = "job")]
fn first(a: u32) -> u32 {
    a
}

#[worker(name = "job")]
fn second(a: u32) -> u32 {
    a
}

fn main() {
    mpm::init();
    println!("{}", Pool::new().expect_err("two targets of one name"));
    let _ = (first(1), second(2));
}
