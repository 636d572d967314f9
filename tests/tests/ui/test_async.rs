//! `#[mpm::test]` on an async function.

#[mpm::test]
async fn adds() {}

fn main() {}
