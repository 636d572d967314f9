//! Behaviours 80 and 82: a worker dies while it takes its next job, and one dies as soon as its result is posted.

use std::fs;
use std::path::Path;

use mpm::{DidRun, JobError, JobHandle, Phase, Pool, StartMethod, worker};
use mpm_tests::{process_gone, try_kill, wait_until};
use tempfile::TempDir;

use crate::jobs::{double, worker_counts};

conform!(
    e80_dies_while_it_takes_its_next_job,
    e82_a_result_posted_just_before_death_wins,
    e82_a_result_posted_before_its_worker_stood_still_and_died,
);

/// A pool one of whose workers ends at this step; whether by dying or by standing still, the latch says.
fn ends_at(method: StartMethod, workers: usize, step: &str, latch: &Path, word: &str) -> Pool {
    fs::write(latch, word).unwrap();
    let fault = format!("{step}:{}", latch.display());
    Pool::builder().workers(workers).start(method).env("MPM_FAULT", fault).build().unwrap()
}

/// There is no lock that it could keep: those beside it and those behind it go on.
fn e80_dies_while_it_takes_its_next_job(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let latch = folder.path().join("latch");
    for workers in worker_counts() {
        for step in ["claimed", "opened"] {
            let pool = ends_at(method, workers, step, &latch, "");
            let jobs: Vec<_> = (0..60).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            let outcomes: Vec<_> = jobs.into_iter().map(JobHandle::wait).collect();
            assert!(!latch.exists(), "nobody came by {step}");
            let mut died = 0;
            for (n, outcome) in (0..).zip(outcomes) {
                match outcome {
                    Ok(value) => assert_eq!(value, 2 * n),
                    Err(JobError::Died(death)) => {
                        assert_eq!((death.phase, death.did_run), (Phase::Claimed, DidRun::No), "{death}");
                        died += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(died, 1, "{method} {workers} {step}");
        }
    }
}

#[worker]
fn gives(bytes: usize) -> Vec<u8> {
    vec![7; bytes]
}

/// Nobody was called at `published`: that there is a result, the parent finds out when it hears of the death.
fn e82_a_result_posted_just_before_death_wins(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let latch = folder.path().join("latch");
    for workers in worker_counts() {
        for (step, bytes) in ["published", "rung", "answered"].into_iter().flat_map(|step| [(step, 10), (step, 300_000)]) {
            let pool = ends_at(method, workers, step, &latch, "");
            let jobs: Vec<_> = (0..10).map(|_| pool.submit(gives::job(bytes)).unwrap()).collect();
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.wait().map(|value| value.len()).unwrap(), bytes, "{method} {workers} {step}: job {n}");
            }
            assert!(!latch.exists(), "nobody came by {step}");
        }
    }
}

/// So much time between the two that the parent cannot take them for one.
fn e82_a_result_posted_before_its_worker_stood_still_and_died(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let latch = folder.path().join("latch");
    for bytes in [10, 300_000] {
        let pool = ends_at(method, 1, "published", &latch, "stops");
        let job = pool.submit(gives::job(bytes)).unwrap();
        wait_until("it was posted", || !latch.exists());
        let worker = job.report().pid;
        if let Some(worker) = worker {
            try_kill(worker, libc::SIGKILL);
        }
        assert_eq!(job.wait().map(|value| value.len()).unwrap(), bytes, "{method}");
        if let Some(worker) = worker {
            wait_until("its worker is buried", || process_gone(worker));
        }
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    }
}
