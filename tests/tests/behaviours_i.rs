//! Behaviours, group I: workers are replaced on purpose, pools grow and shrink; and those of group E that are about workers that stand
//! still or cannot be started. Where the start method can make a difference, each is a test for every one.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "behaviours_i/ages.rs"]
mod ages;
#[path = "behaviours_i/counts.rs"]
mod counts;
#[path = "behaviours_i/limits.rs"]
mod limits;
#[path = "behaviours_i/loops.rs"]
mod loops;
#[path = "behaviours_i/memory.rs"]
mod memory;
#[path = "behaviours_i/restarts.rs"]
mod restarts;
#[path = "behaviours_i/sizes.rs"]
mod sizes;
#[path = "behaviours_i/stands.rs"]
mod stands;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;

use std::collections::BTreeSet;
use std::process;

use mpm::{Pool, worker};
use mpm_tests::{children_of, wait_until};

/// The workers that there are now.
fn workers() -> BTreeSet<u32> {
    children_of(process::id()).into_iter().collect()
}

/// Waits until there are so many workers, and gives them.
#[track_caller]
fn wait_for_workers(count: usize) -> BTreeSet<u32> {
    wait_until("there are so many workers", || workers().len() == count);
    workers()
}

/// Waits until a job runs in another process than in `before`.
#[track_caller]
fn wait_for_another(pool: &Pool, before: u32) -> u32 {
    let mut now = before;
    wait_until("another worker has the place", || {
        now = pool.run(pools::pid::job()).unwrap();
        now != before
    });
    now
}

/// How many bytes its process holds in memory.
#[worker]
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
