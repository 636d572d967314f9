//! A result that borrows.

use mpm::worker;

#[worker]
fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or("")
}

#[worker]
fn label() -> Option<&'static str> {
    None
}

#[worker]
fn shorten(text: &str) -> std::borrow::Cow<'_, str> {
    text.into()
}

fn main() {}
