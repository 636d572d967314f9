//! Jobs that take too long: how one is ended, how one ends itself, how one gets more time.

use std::time::{Duration, Instant};

use mpm::{Pool, worker};

// ANCHOR: stuck
/// Stands for a library that does not come back.
#[worker]
fn stuck() -> u32 {
    loop {
        std::hint::spin_loop();
    }
}
// ANCHOR_END: stuck

// ANCHOR: asked
/// Sums up as far as it gets, and says how far that was.
#[worker]
fn sum_up(to: u64) -> (u64, u64) {
    let current = mpm::current();
    let mut sum = 0_u64;
    for n in 0..to {
        if current.is_cancelled() {
            return (sum, n);
        }
        sum = sum.wrapping_add(n);
    }
    (sum, to)
}

/// As above, without a result to save.
#[worker]
fn search(from: u64) -> Option<u64> {
    (from..).find(|n| {
        mpm::current().checkpoint();
        std::hint::black_box(*n) == u64::MAX
    })
}
// ANCHOR_END: asked

// ANCHOR: progress
/// Takes longer than its limit, and says that it goes on.
#[worker]
fn in_parts(parts: u64) -> u64 {
    for part in 1..=parts {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(150) {
            std::hint::spin_loop();
        }
        mpm::current().progress(part, parts);
    }
    parts
}
// ANCHOR_END: progress

#[mpm::main]
fn main() -> mpm::Result<()> {
    let ms = Duration::from_millis;
    // ANCHOR: main
    let pool = Pool::builder().name("limits").workers(2).timeout(ms(1_000)).grace(ms(400)).build()?;

    let error = pool.run(stuck::job().timeout(ms(50))).unwrap_err();
    println!("{error}");

    let (_, came_to) = pool.run(sum_up::job(u64::MAX))?;
    println!("summed up some numbers: {}", came_to > 0);
    println!("{}", pool.run(search::job(1)).unwrap_err());

    println!("{} parts", pool.run(in_parts::job(8))?);

    let job = pool.submit(stuck::job().timeout(Duration::MAX))?;
    println!("aborted: {}", job.abort());
    println!("{}", job.wait().unwrap_err());
    // ANCHOR_END: main
    Ok(())
}
