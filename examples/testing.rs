//! A program with tests of its own that use workers: `cargo test --example testing` runs them.

use mpm::{Pool, worker};

/// The greatest common divisor.
#[worker]
fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::builder().workers(1).build()?;
    println!("{}", pool.run(gcd::job(18, 12))?);
    Ok(())
}

// ANCHOR: tests
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_itself() {
        assert_eq!(gcd(18, 12), 6);
    }

    #[mpm::test]
    fn the_function_in_a_worker() -> mpm::Result<()> {
        let pool = Pool::builder().workers(1).build()?;
        assert_eq!(pool.run(gcd::job(18, 12))?, 6);
        Ok(())
    }
}
// ANCHOR_END: tests
