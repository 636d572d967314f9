//! The smallest program: one function that runs in another process.

use mpm::{Pool, worker};

// ANCHOR: hello
#[worker]
fn greet(name: &str) -> String {
    format!("Hello, {name}, from process {}", std::process::id())
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::new()?;
    println!("{}", pool.run(greet::job("world"))?);
    Ok(())
}
// ANCHOR_END: hello
