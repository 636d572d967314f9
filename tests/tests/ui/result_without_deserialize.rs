//! A result whose type lacks `Deserialize`.

use mpm::worker;
use serde::Serialize;

#[derive(Serialize)]
struct Page {
    text: String,
}

#[worker]
fn render(number: u32) -> Page {
    Page { text: number.to_string() }
}

fn main() {
    println!("{}", render(1).text);
}
