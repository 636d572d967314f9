//! All mistakes of an item are told at once.

use mpm::worker;

#[worker(timeout = "soon", colour = "red")]
async fn many<T>(_: u8, text: Option<&str>, target: &mut T) -> &str {
    let _ = (text, target);
    "many"
}

fn main() {}
