//! `#[mpm::main]` on an async function.

#[mpm::main]
async fn main() {}
