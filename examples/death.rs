//! A worker dies in the middle of its work: one job is lost, with a report, and all others go on.

use mpm::{Pool, worker};

// ANCHOR: target
/// Stands for a library with a bug: one input in a hundred brings it down.
#[worker]
fn render(page: u32) -> String {
    if page == 3 {
        eprintln!("render: page {page} has a broken font");
        std::process::abort();
    }
    format!("page {page} rendered")
}
// ANCHOR_END: target

// ANCHOR: main
#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::builder().name("render").workers(2).build()?;
    for outcome in pool.map::<render>(1..=5) {
        match outcome {
            Ok(text) => println!("{text}"),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
// ANCHOR_END: main
