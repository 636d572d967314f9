//! A `Result` whose error type cannot travel; the error is about that type alone.

use mpm::worker;

use std::num::ParseIntError;

#[worker]
fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}

#[worker]
fn bytes(text: &str) -> Result<Vec<u8>, std::fmt::Error> {
    Ok(text.into())
}

fn main() {}
