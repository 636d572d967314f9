//! Behaviours, group E, second half: jobs that damage their own worker, what is left of what they print, and a system that gives no more.
//! Each is a function of the start method, and so three tests.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;

#[path = "behaviours_e_hostile/damage.rs"]
mod damage;
#[path = "behaviours_e_hostile/last_lines.rs"]
mod last_lines;
#[path = "behaviours_e_hostile/shortage.rs"]
mod shortage;

use std::process;

use mpm::{Pool, StartMethod};
use mpm_tests::{children_of, process_gone, wait_until};

/// A pool with so many workers by this method.
fn pool_of(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().unwrap()
}

/// No child is there any more, when a pool has ended.
fn nobody_is_left(method: StartMethod) {
    // The template of a copy goes with its pool, a moment later; one that stalls may not have reaped its workers yet.
    assert!(method == StartMethod::Fork || children_of(process::id()).into_iter().all(process_gone));
    wait_until("nobody is left", || children_of(process::id()).is_empty());
}
