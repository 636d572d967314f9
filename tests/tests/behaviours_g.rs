//! Behaviours, group G: limits of time. Each is a function of the start method, and so three tests.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;

#[path = "behaviours_g/inside.rs"]
mod inside;
#[path = "behaviours_g/jobs_beside.rs"]
mod jobs_beside;
#[path = "behaviours_g/steps.rs"]
mod steps;
#[path = "behaviours_g/survivors.rs"]
mod survivors;

use std::process;
use std::time::Duration;

use mpm::{Builder, JobError, Pool, StartMethod, TimedOut, worker};

/// A pool with so many workers by this method.
fn pool_of(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().unwrap()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A pool whose overdue jobs end soon.
fn hasty(method: StartMethod, workers: usize) -> Builder {
    Pool::builder().start(method).workers(workers).grace(ms(40))
}

#[track_caller]
fn timed_out<R: std::fmt::Debug>(outcome: Result<R, JobError>) -> TimedOut {
    match outcome {
        Err(JobError::TimedOut(error)) => *error,
        other => panic!("{other:?}"),
    }
}

/// Never ends by itself, and never looks whether it should.
#[worker]
fn spin() -> u32 {
    eprintln!("spinning");
    while std::hint::black_box(true) {
        std::hint::spin_loop();
    }
    process::id()
}
