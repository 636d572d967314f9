//! Behaviours, group J: the end of a pool, in every way and at every moment, for each start method. Its neighbours: `signals` has 148, 151
//! and 152, `callbacks` 146, `hooks` 140, `nesting` 145 and 147.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "behaviours_j/drops.rs"]
mod drops;
#[path = "behaviours_j/forced.rs"]
mod forced;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;
#[path = "behaviours_j/orderly.rs"]
mod orderly;
#[path = "behaviours_j/races.rs"]
mod races;
#[path = "behaviours_j/wakers.rs"]
mod wakers;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;

use std::process;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod};
use mpm_tests::{children_of, process_gone, wait_until};

const LONG: Duration = Duration::from_secs(3600);

/// Every way to end a pool that still exists afterwards.
const ENDS: [fn(&Pool); 4] = [Pool::join, Pool::kill, |pool| pool.shutdown(LONG), |pool| pool.shutdown(Duration::ZERO)];

fn is_cancelled<R>(outcome: &Result<R, JobError>) -> bool {
    matches!(outcome, Err(JobError::Cancelled(_)))
}

/// All workers are gone when the end returns. A template that is a copy of this process follows a moment later, and may not even have
/// taken its name; one that stalls may not have reaped its workers yet.
#[track_caller]
fn nobody_is_left(method: StartMethod) {
    assert!(method == StartMethod::Fork || children_of(process::id()).into_iter().all(process_gone));
    wait_until("nobody is left", || children_of(process::id()).is_empty());
}
