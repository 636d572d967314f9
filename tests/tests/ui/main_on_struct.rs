//! `#[mpm::main]` on a struct.

#[mpm::main]
struct Main;

fn main() {}
