//! A mistake in the body of a main function is underlined there.

#[mpm::main]
fn main() -> Result<(), std::fmt::Error> {
    let n: u32 = "seven";
    n
}
