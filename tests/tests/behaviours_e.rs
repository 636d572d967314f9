//! Behaviours, group E: a worker dies, in every phase of a job and in every way. Each is a function of the start method, and so three
//! tests. Of the same group are `behaviours_e_hostile`, `behaviours_e_memory`, the jobs that run at a worker's start and end in `hooks`, the workers that stand
//! still in `behaviours_i`, and `faults`.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;

#[path = "behaviours_e/culprit.rs"]
mod culprit;
#[path = "behaviours_e/drops.rs"]
mod drops;
#[path = "behaviours_e/idle.rs"]
mod idle;
#[path = "behaviours_e/phases.rs"]
mod phases;
#[path = "behaviours_e/pools.rs"]
mod pools;
#[path = "behaviours_e/posted.rs"]
mod posted;
#[path = "behaviours_e/stopped.rs"]
mod stopped;

use std::process;

use jobs::Way;
use mpm::{Death, HowItEnded, JobError, Pool, StartMethod};
use mpm_tests::{children_of, process_gone, wait_until};

/// A pool with so many workers by this method.
fn pool_of(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().unwrap()
}

/// An exit code, or a signal's number and name.
type Expected = Result<i32, (i32, &'static str)>;

/// Every way, what the parent must see of it, and what the worker's last lines must tell.
const WAYS: [(Way, Expected, &str); 11] = [
    (Way::NullWrite, Err((libc::SIGSEGV, "SIGSEGV")), "about to die: NullWrite"),
    (Way::Segfault, Err((libc::SIGSEGV, "SIGSEGV")), "about to die: Segfault"),
    (Way::Abort, Err((libc::SIGABRT, "SIGABRT")), "about to die: Abort"),
    (Way::Exit(0), Ok(0), "about to die: Exit(0)"),
    (Way::Exit(42), Ok(42), "about to die: Exit(42)"),
    (Way::Kill, Err((libc::SIGKILL, "SIGKILL")), "about to die: Kill"),
    (Way::Terminate, Err((libc::SIGTERM, "SIGTERM")), "about to die: Terminate"),
    (Way::OutOfMemory, Err((libc::SIGABRT, "SIGABRT")), "memory allocation of 4096 bytes failed"),
    (Way::HugeVec, Err((libc::SIGABRT, "SIGABRT")), "memory allocation of 9223372036854775807 bytes failed"),
    (Way::StackOverflow, Err((libc::SIGABRT, "SIGABRT")), "has overflowed its stack"),
    (Way::DoublePanic, Err((libc::SIGABRT, "SIGABRT")), "panic in a destructor during cleanup"),
];

#[track_caller]
fn check_how(death: &Death, expected: Expected) {
    match (&death.how, expected) {
        (HowItEnded::Exited(code), Ok(expected)) => assert_eq!(*code, expected),
        (HowItEnded::Signal { number, name, .. }, Err(expected)) => assert_eq!((*number, name.as_str()), expected),
        (how, expected) => panic!("{how:?} instead of {expected:?}"),
    }
    assert_eq!(death.out_of_memory, Some(false));
    assert_eq!(death.ended_by_pool, None);
    assert!(death.pid != process::id() && !death.elapsed.is_zero() && death.attempt == 1, "{death:?}");
}

#[track_caller]
fn death<R: std::fmt::Debug>(outcome: Result<R, JobError>) -> Death {
    match outcome {
        Err(JobError::Died(death)) => *death,
        other => panic!("{other:?}"),
    }
}

/// Without the backtraces that would push the words of interest out of the last lines.
fn terse_pool(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().start(method).workers(workers).env("RUST_BACKTRACE", "0").build().unwrap()
}

/// No child is there any more, when a pool has ended.
fn nobody_is_left(method: StartMethod) {
    // The template of a copy goes with its pool, a moment later; one that stalls may not have reaped its workers yet.
    assert!(method == StartMethod::Fork || children_of(process::id()).into_iter().all(process_gone));
    wait_until("nobody is left", || children_of(process::id()).is_empty());
}
