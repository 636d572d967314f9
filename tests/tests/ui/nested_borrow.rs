//! Arguments that borrow in part.

use mpm::worker;

use std::borrow::Cow;

#[worker]
fn greet(name: Option<&str>) -> String {
    name.unwrap_or("you").to_owned()
}

#[worker]
fn join(parts: Vec<&str>, more: &[&str], cow: Cow<'_, str>) -> String {
    parts.concat() + &more.concat() + &cow
}

fn main() {}
