//! Counts primes in all worker processes at once: one job by hand, then a map over many inputs.

use mpm::{Pool, worker};

// ANCHOR: target
/// Counts the primes below `n`.
#[worker]
fn count_primes(n: u64) -> u64 {
    (2..n).filter(|n| is_prime(*n)).count() as u64
}

fn is_prime(n: u64) -> bool {
    (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}
// ANCHOR_END: target

// ANCHOR: main
#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::new()?; // one worker process per usable CPU
    let job = pool.submit(count_primes::job(200_000))?; // returns at once
    println!("{} primes below 200000", job.wait()?);

    let limits = (1..=20).map(|k| k * 10_000);
    for (limit, count) in limits.clone().zip(pool.map::<count_primes>(limits)) {
        println!("{} primes below {limit}", count?);
    }
    Ok(())
}
// ANCHOR_END: main
