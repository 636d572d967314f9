//! A program that has threads, and workers by fork server: `mpm::init()` stands before the threads. And a process for each job.
//!
//! ```console
//! $ cargo run --release --example threads
//! ```

use std::collections::BTreeSet;
use std::thread;

use mpm::{JobError, Pool, worker};

#[worker]
fn number() -> u32 {
    std::process::id()
}

// ANCHOR: main
fn main() -> mpm::Result<()> {
    mpm::init(); // in a template and in a worker this never returns
    thread::scope(|scope| {
        // Stands for a runtime: tokio::runtime::Builder::new_multi_thread()…build(), and block_on.
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(with_threads)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    one_process_for_each_job()
}

fn with_threads() -> mpm::Result<()> {
    let pool = Pool::builder().workers(1).build()?;
    pool.run(number::job())?;
    println!("started by {}, from one of several threads", pool.start_method());
    Ok(())
}
// ANCHOR_END: main

fn one_process_for_each_job() -> mpm::Result<()> {
    // ANCHOR: max_jobs
    let pool = Pool::builder().workers(2).max_jobs(1).build()?;
    let processes: Result<BTreeSet<u32>, JobError> = pool.map::<number>((0..10).map(|_| ())).collect();
    println!("10 jobs, {} processes", processes?.len());
    // ANCHOR_END: max_jobs
    Ok(())
}
