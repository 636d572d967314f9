//! Behaviour 118: a job that is cancelled, finishes and dies at one moment has one outcome, and nobody else is hit.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use mpm::{Done, JobError, Pool, StartMethod, worker};
use mpm_tests::{Log, try_kill};

use crate::jobs::{Way, die};
use crate::pools::{build, double};

conform!(h118_cancel_vs_finish_vs_death_together, h118_the_next_job_is_never_hit);

fn kind<R>(outcome: &Result<R, JobError>) -> &'static str {
    match outcome {
        Ok(_) => "value",
        Err(JobError::Died(_)) => "death",
        Err(JobError::Cancelled(_)) => "cancelled",
        Err(error) => panic!("{error}"),
    }
}

#[worker]
fn die_or_live(dies: bool) {
    if dies {
        die(Way::Kill);
    }
}

/// Exactly one of the three, with one call, which tells the same as the handle.
fn h118_cancel_vs_finish_vs_death_together(method: StartMethod) {
    let calls: Log<(u64, &'static str)> = Log::default();
    let pool = build(Pool::builder().workers(2).grace(Duration::ZERO), method);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    let mut ends = BTreeMap::new();
    for round in 0..60 {
        let noted = calls.clone();
        let note = move |done: Done<()>| noted.add((done.report.job, kind(&done.outcome)));
        let job = pool.submit(die_or_live::job(round % 2 == 0).on_done(note)).unwrap();
        let start = Barrier::new(4);
        let (cancelled, aborted) = thread::scope(|scope| {
            let by_abort = scope.spawn(|| {
                start.wait();
                job.abort()
            });
            let by_cancel = scope.spawn(|| {
                start.wait();
                job.cancel()
            });
            // Killed from outside as well, now and then.
            scope.spawn(|| {
                start.wait();
                if round % 3 == 0
                    && let Some(pid) = job.report().pid
                {
                    let _ = try_kill(pid, libc::SIGKILL);
                }
            });
            start.wait();
            (by_cancel.join().unwrap(), by_abort.join().unwrap())
        });
        let id = job.id();
        let end = kind(&job.wait());
        assert!(end != "cancelled" || cancelled || aborted);
        assert!(!cancelled || end == "cancelled", "what was taken back ends as {end}");
        assert_eq!(ends.insert(id, end), None);
    }
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    pool.join();
    let mut calls = calls.take();
    calls.sort_unstable();
    assert_eq!(calls, ends.into_iter().collect::<Vec<_>>(), "one call for each");
}

fn h118_the_next_job_is_never_hit(method: StartMethod) {
    let pool = build(Pool::builder().workers(2).grace(Duration::from_millis(1)), method);
    // Aborted while it is handed over, begins, runs and ends: those behind it have their own outcomes.
    for round in 0..300 {
        let hit = pool.submit(double::job(round)).unwrap();
        let behind: Vec<_> = (0..8).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        if round % 3 == 1 {
            thread::yield_now();
        }
        let ends = hit.abort();
        match hit.wait() {
            Ok(value) => assert_eq!(value, 2 * round),
            Err(error) => assert!(ends && error.is_cancelled(), "{error}"),
        }
        for (n, job) in behind.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), 2 * n as u64, "{round}");
        }
    }
}
