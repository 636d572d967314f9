//! `#[mpm::test]` beside `#[test]`.

#[mpm::test]
#[test]
fn adds() {}

fn main() {}
