//! How a pool ends: finished, in a hurry, or killed; by Ctrl-C in stages; and what runs in each worker at its end.
//!
//! ```console
//! $ cargo run --release --example ending
//! $ cargo run --release --example ending -- wait     # and press Ctrl-C up to three times
//! ```

use std::sync::Mutex;
use std::time::Duration;

use mpm::{EventKind, JobError, Pool, signals, worker};

// ANCHOR: hooks
/// What this worker has seen, until it is written away.
static SEEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[worker]
fn open(limit: usize) -> Result<(), String> {
    let mut seen = SEEN.lock().map_err(|e| e.to_string())?;
    seen.try_reserve(limit).map_err(|e| e.to_string())
}

#[worker]
fn see(n: u32) {
    SEEN.lock().unwrap().push(n);
}

#[worker]
fn flush() -> usize {
    SEEN.lock().unwrap().drain(..).count()
}
// ANCHOR_END: hooks

#[worker]
fn nap(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("wait") {
        return wait_for_ctrl_c();
    }
    count()?;
    events()?;
    callbacks()?;
    ends()
}

fn count() -> mpm::Result<()> {
    // ANCHOR: count
    let (counts, inbox) = std::sync::mpsc::channel();
    let collect = move |_worker: &str, count: Result<usize, JobError>| counts.send(count.unwrap_or(0)).unwrap();
    let pool = Pool::builder().workers(3).on_start(open::job(1_000)).on_stop_with(flush::job(), collect).build()?;
    pool.map::<see>(0..1_000).try_for_each(|outcome| outcome)?;
    pool.join();
    // Each worker has given its part, and nobody gives more.
    println!("the workers have seen {} numbers", inbox.iter().sum::<usize>());
    // ANCHOR_END: count
    Ok(())
}

fn events() -> mpm::Result<()> {
    // ANCHOR: events
    let pool = Pool::builder().workers(1).max_jobs(2).on_event(|event| {
        if let EventKind::WorkerEnded { worker, reason, jobs: jobs @ 1.., .. } = &event.kind {
            println!("{worker} has ended after {jobs} jobs: {reason}");
        }
    });
    let pool = pool.build()?;
    (1..=4).try_for_each(|n| pool.run(see::job(n)))?;
    // ANCHOR_END: events
    pool.kill();
    Ok(())
}

fn callbacks() -> mpm::Result<()> {
    // ANCHOR: callbacks
    let pool = Pool::builder().workers(2).build()?;
    let job = flush::job().on_done(|done| match done.outcome {
        Ok(count) => println!("{} gave {count}", done.report.target),
        Err(error) => println!("{error}"),
    });
    drop(pool.submit(job)?); // nobody waits for it
    pool.join(); // its callback has run
    // ANCHOR_END: callbacks
    Ok(())
}

fn ends() -> mpm::Result<()> {
    // ANCHOR: ends
    let pool = Pool::builder().workers(2).build()?;
    let jobs: Vec<_> = (0..20).map(|_| pool.submit(nap::job(50))).collect::<Result<_, _>>().map_err(mpm::Error::from)?;
    mpm::wait_all(&jobs[..1]);
    pool.shutdown(Duration::from_secs(60));
    let (done, others): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| job.wait()).partition(Result::is_ok);
    assert!(others.iter().all(|outcome| outcome.as_ref().is_err_and(JobError::is_cancelled)));
    println!("{} jobs ran, {} were cancelled", done.len(), others.len());
    // ANCHOR_END: ends
    Ok(())
}

// ANCHOR: ctrl_c
fn wait_for_ctrl_c() -> mpm::Result<()> {
    let pool = Pool::builder().workers(2).build()?;
    let _ctrl_c = signals::shutdown_on_ctrl_c(&pool)?;
    let jobs: Vec<_> = (0..20).map(|_| pool.submit(nap::job(1_000))).collect::<Result<_, _>>().map_err(mpm::Error::from)?;
    println!("{} jobs; Ctrl-C", jobs.len());
    let done = jobs.into_iter().filter_map(|job| job.wait().ok()).count();
    println!("{done} are done");
    Ok(())
}
// ANCHOR_END: ctrl_c
