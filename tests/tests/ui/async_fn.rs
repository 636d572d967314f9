//! An async function as a target.

use mpm::worker;

#[worker]
async fn fetch(url: String) -> usize {
    url.len()
}

fn main() {}
