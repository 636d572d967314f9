//! `#[mpm::main]` on a function of another name, with attributes and an inner one.

/// Documented.
#[mpm::main]
#[inline(never)]
fn start() -> Result<(), std::num::ParseIntError> {
    #![expect(unused_variables, reason = "an inner attribute stays in front")]
    let n: u32 = "7".parse()?;
    Ok(())
}

fn main() {
    start().unwrap();
}
