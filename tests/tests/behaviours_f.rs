//! Behaviours, group F: where pools of other makes have come to a standstill. Each is a function of the start method, and so three tests.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;

#[path = "behaviours_f/encoding.rs"]
mod encoding;
#[path = "behaviours_f/ends.rs"]
mod ends;
#[path = "behaviours_f/large.rs"]
mod large;

use std::process;

use mpm::{Pool, StartMethod};
use mpm_tests::{children_of, wait_until};

/// A pool with so many workers by this method.
fn pool_of(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().unwrap()
}

/// No child is there any more, when a pool has ended.
fn nobody_is_left(method: StartMethod) {
    if method != StartMethod::Spawn {
        // A template that goes is gone a moment later.
        wait_until("nobody is left", || children_of(process::id()).is_empty());
    } else {
        assert!(children_of(process::id()).is_empty());
    }
}
