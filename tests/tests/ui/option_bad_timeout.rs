//! Timeouts that are no spans of time.

use mpm::worker;

#[worker(timeout = "soon")]
fn f() {}

#[worker(timeout = "30")]
fn g() {}

#[worker(timeout = 30)]
fn h() {}

#[worker(timeout = "0s")]
fn i() {}

#[worker(timeout)]
fn j() {}

fn main() {}
