//! Several jobs at once: in order, in the order in which they end, and with an eye on the clock.

use std::time::Duration;

use mpm::{JobError, Pool, worker};

#[worker]
fn square(n: u64) -> u64 {
    n * n
}

#[worker]
fn nap(milliseconds: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::builder().workers(2).build()?;

    // ANCHOR: map
    let squares: Result<Vec<u64>, JobError> = pool.map::<square>(1..).take(5).collect();
    println!("{:?}", squares?);
    // ANCHOR_END: map

    // ANCHOR: as_completed
    let naps = [400, 1];
    let mut jobs = Vec::new();
    for time in naps {
        jobs.push(pool.submit(nap::job(time))?);
    }
    for (index, outcome) in mpm::as_completed(jobs) {
        println!("job {index} slept for {} ms", outcome?);
    }
    // ANCHOR_END: as_completed

    // ANCHOR: timeout
    let mut job = pool.submit(nap::job(500))?;
    let milliseconds = match job.wait_timeout(Duration::from_millis(1)) {
        Some(outcome) => outcome?,
        None => {
            println!("not yet; the job goes on");
            job.wait()?
        }
    };
    println!("slept for {milliseconds} ms");
    // ANCHOR_END: timeout
    Ok(())
}
