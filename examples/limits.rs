//! Workers that do not grow old: every limit that a pool knows, and what is to be seen of each.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use mpm::{EndReason, JobError, Pool, worker};

const MIB: u64 = 1 << 20;

#[worker]
fn process() -> u32 {
    std::process::id()
}

/// Stands for a library that loses memory.
#[worker]
fn leaks(mib: u64) -> u32 {
    black_box(Vec::leak(black_box(vec![1_u8; (mib * MIB) as usize])));
    std::process::id()
}

/// Stands for an input that no machine is large enough for.
#[worker]
fn never_enough() -> usize {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; MIB as usize]));
        std::thread::sleep(Duration::from_micros(500)); // the job's own work
    }
}

/// Stands for a library that cannot be loaded.
#[worker]
fn crashes() {
    std::process::abort();
}

// ANCHOR: main
#[mpm::main]
fn main() -> mpm::Result<()> {
    // ANCHOR: builder
    let pool = Pool::builder()
        .name("limits")
        .workers(1..=2) // a second one when jobs wait
        .max_idle(Duration::from_secs(60)) // and one again when it has nothing to do
        .max_jobs(50) // a fresh process after 50 jobs
        .max_jobs_jitter(0.1) // or a few more, so that not all go at once
        .max_age(Duration::from_secs(3600)) // or after an hour
        .max_rss(100 * MIB) // or after a job that leaves it with more than this
        .max_rss_hard(300 * MIB) // in the middle of a job that takes more than this
        .recycle_share(0.5) // one half of them at a time
        .unresponsive(Duration::from_secs(10)) // or if it stands still
        .restart_limit(10, Duration::from_secs(60)) // crash loops end the pool
        .build()?;
    // ANCHOR_END: builder

    let processes: Result<BTreeSet<u32>, JobError> = pool.map::<process>((0..120).map(|_| ())).collect();
    println!("max_jobs: 120 jobs took {} processes", processes?.len());

    let leaky = pool.run(leaks::job(120))?;
    while pool.run(process::job())? == leaky {}
    println!("max_rss: a job kept 120 MiB and was finished; process {leaky} has been replaced");

    // ANCHOR: hard
    match pool.run(never_enough::job()) {
        Err(JobError::Died(death)) if death.reason == EndReason::Memory => println!("max_rss_hard: {death}"),
        other => println!("max_rss_hard: {other:?}"),
    }
    // ANCHOR_END: hard

    // ANCHOR: live
    let mut limits = pool.limits();
    limits.max_jobs = None;
    pool.set_limits(limits)?;
    pool.resize(2)?;
    println!("live: from {} to {} workers, as many jobs for each as it likes", pool.size().start(), pool.size().end());

    let before = pool.run(process::job())?;
    pool.restart();
    pool.wait_restarted()?;
    println!("restart: process {before} is gone: {}", pool.run(process::job())? != before);
    // ANCHOR_END: live

    // ANCHOR: loop
    let hopeless = Pool::builder().name("hopeless").workers(2).preload(crashes::job()).restart_limit(3, Duration::from_secs(60));
    if let Err(error) = hopeless.build()?.run(process::job()) {
        println!("{error}");
    }
    // ANCHOR_END: loop
    Ok(())
}
// ANCHOR_END: main
