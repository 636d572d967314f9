//! Behaviour 90: the kernel ends a worker for want of memory. Where it counts such ends for the whole system only, every worker that is
//! killed at the same time seems to be one; so nothing else runs beside this: it is a program of its own, and `.config/nextest.toml`
//! keeps it apart too.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process;

use jobs::{double, worker_counts};
use mpm::{DidRun, EndReason, JobError, Phase, Pool, StartMethod, worker};
use mpm_tests::{MemoryGroup, process_gone};

conform!(e90_out_of_memory);

const MIB: usize = 1 << 20;

/// Moves its worker into the group and takes more memory than that may have.
#[worker]
fn takes_all(group: &Path, bytes: usize) -> u64 {
    fs::write(group.join("cgroup.procs"), process::id().to_string()).unwrap();
    let held = black_box(vec![1_u8; bytes]);
    held.iter().map(|byte| u64::from(*byte)).sum()
}

/// Only who may make memory groups can show this; elsewhere this says so and checks nothing.
fn e90_out_of_memory(method: StartMethod) {
    let Some(group) = MemoryGroup::new(64 * MIB as u64) else {
        println!("this process may not limit the memory of others: nothing was checked");
        return;
    };
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).start(method).build().unwrap();
        let large = pool.submit(takes_all::job(group.path(), 256 * MIB)).unwrap();
        let others: Vec<_> = (0..40).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        let error = large.wait().unwrap_err();
        let JobError::Died(death) = &error else { panic!("{error}") };
        assert_eq!(death.how.signal(), Some(libc::SIGKILL), "{error}");
        assert_eq!((death.out_of_memory, death.reason, death.ended_by_pool.as_deref()), (Some(true), EndReason::Died, None));
        assert_eq!((death.phase, death.did_run, death.target), (Phase::Running, DidRun::Maybe, takes_all::NAME));
        assert!(error.to_string().contains("for want of memory"), "{error}");
        assert!((0..).zip(others).all(|(n, job)| job.wait().unwrap() == 2 * n), "others go on");
        assert!(process_gone(death.pid));
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    }
}
