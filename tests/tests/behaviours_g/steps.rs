//! Behaviours 103 and 105 to 107: a job that has met its limit is asked to end, then told, then killed.

use std::collections::BTreeSet;
use std::fs;
use std::process;
use std::time::Duration;

use mpm::{DidRun, Pool, StartMethod, TimeLimit, worker};
use mpm_tests::{Gate, ignore_signal, process_gone, wait_until};
use tempfile::TempDir;

use crate::jobs::{double, pass, pid, worker_counts};
use crate::{hasty, ms, spin, timed_out};

conform!(
    g103_hard_timeout,
    g103_the_limit_counts_from_the_start_of_the_job,
    g105_soft_then_hard,
    g106_blocked_in_foreign_code,
    g107_sigterm_ignored,
    g107_without_grace_a_job_is_killed_at_once,
    the_whole_process_group_ends,
);

/// As `spin`, and heeds no SIGTERM.
#[worker]
fn spin_stubbornly() {
    ignore_signal(libc::SIGTERM);
    spin();
}

/// Ends as it is asked to: by a value, or at a checkpoint.
#[worker]
fn until_asked(by_value: bool) -> (u32, u32) {
    let current = mpm::current();
    while !current.is_cancelled() {
        std::hint::spin_loop();
    }
    if !by_value {
        current.checkpoint();
    }
    (process::id(), current.attempt())
}

/// A child that outlives its worker's job, and where its number stands.
#[worker]
fn with_a_child(file: &str) {
    let mut child = process::Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
    spin();
    child.wait().unwrap();
}

fn g103_hard_timeout(method: StartMethod) {
    for workers in worker_counts() {
        // So much time that a busy machine comes to SIGTERM before SIGKILL follows.
        let pool = hasty(method, workers).name("overdue").grace(Duration::from_secs(2)).build().unwrap();
        let jobs: Vec<_> = (0..workers).map(|_| pool.submit(spin::job().timeout(ms(30))).unwrap()).collect();
        let mut ended = BTreeSet::new();
        for job in jobs {
            let id = job.id();
            let error = timed_out(job.wait());
            assert_eq!((error.job, error.kind, error.limit, error.attempt), (id, TimeLimit::Time, ms(30), 1), "{error}");
            assert!(error.elapsed >= ms(30) && error.did_run == DidRun::Maybe, "{error:?}");
            assert_eq!(error.how.as_ref().and_then(mpm::HowItEnded::signal), Some(libc::SIGTERM), "{error}");
            assert!(error.stderr == ["spinning"] || error.stderr.is_empty(), "a starved one says nothing: {:?}", error.stderr);
            assert!(error.to_string().contains("exceeded its limit of 30ms in worker overdue-"), "{error}");
            assert!(process_gone(error.pid));
            ended.insert(error.pid);
        }
        assert_eq!(ended.len(), workers, "each had a worker of its own");
        for _ in 0..2 * workers {
            assert!(!ended.contains(&pool.run(pid::job()).unwrap()), "the workers are replaced");
        }
    }
}

fn g103_the_limit_counts_from_the_start_of_the_job(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = hasty(method, 1).build().unwrap();
    let before = pool.submit(pass::job(&gate.path())).unwrap();
    // It waits longer than it may run.
    let mut after = pool.submit(double::job(4).timeout(ms(1_500))).unwrap();
    gate.wait_for(1);
    assert!(after.wait_timeout(ms(2_500)).is_none());
    gate.open();
    before.wait().unwrap();
    assert_eq!(after.wait().unwrap(), 8);
}

fn g105_soft_then_hard(method: StartMethod) {
    let pool = Pool::builder().workers(1).start(method).grace(Duration::from_secs(40)).build().unwrap();
    let first = pool.run(pid::job()).unwrap();
    // A job that cleans up returns normally.
    assert_eq!(pool.run(until_asked::job(true).timeout(ms(10))).unwrap(), (first, 1));
    // One that ends itself has the typed end, and its worker goes on.
    let error = timed_out(pool.run(until_asked::job(false).timeout(ms(10))));
    assert!(error.how.is_none() && error.pid == first, "{error:?}");
    assert!(error.to_string().ends_with("it ended itself, as it was asked to"), "{error}");
    assert_eq!(pool.run(pid::job()).unwrap(), first);
    // One that ignores it dies of it.
    let pool = hasty(method, 1).build().unwrap();
    let error = timed_out(pool.run(spin::job().timeout(ms(10))));
    assert!(error.how.as_ref().and_then(mpm::HowItEnded::signal).is_some(), "{error:?}");
    assert_ne!(pool.run(pid::job()).unwrap(), error.pid);
}

fn g106_blocked_in_foreign_code(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = hasty(method, 1).build().unwrap();
    // In a system call, where nobody asks whether he should end.
    let error = timed_out(pool.run(pass::job(&gate.path()).timeout(ms(20))));
    assert!(error.how.is_some() && process_gone(error.pid), "{error:?}");
    // In one that no signal but SIGKILL interrupts.
    let stubborn = Gate::new(folder.path(), "stubborn");
    let error = timed_out(pool.run(pass_stubbornly::job(&stubborn.path()).timeout(ms(1_500))));
    let is_starved = stubborn.arrived() == 0;
    assert!(is_starved || error.how.and_then(|how| how.signal()) == Some(libc::SIGKILL));
    assert_eq!(pool.run(double::job(1)).unwrap(), 2, "the slot is free");
}

/// As `pass`, and heeds no SIGTERM.
#[worker]
fn pass_stubbornly(gate: &str) -> u32 {
    ignore_signal(libc::SIGTERM);
    mpm_tests::wait_at(gate);
    process::id()
}

fn g107_sigterm_ignored(method: StartMethod) {
    let pool = hasty(method, 1).build().unwrap();
    // Long enough for the signal to be ignored by then.
    let error = timed_out(pool.run(spin_stubbornly::job().timeout(ms(1_500))));
    assert_eq!(error.how.and_then(|how| how.signal()), Some(libc::SIGKILL));
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

fn g107_without_grace_a_job_is_killed_at_once(method: StartMethod) {
    let pool = Pool::builder().start(method).workers(1).grace(Duration::ZERO).build().unwrap();
    let error = timed_out(pool.run(spin::job().timeout(ms(10))));
    assert_eq!(error.how.and_then(|how| how.signal()), Some(libc::SIGKILL));
}

fn the_whole_process_group_ends(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("child");
    let pool = hasty(method, 1).build().unwrap();
    // Long enough for the child to be there on a slow machine; what counts is that it goes.
    timed_out(pool.run(with_a_child::job(file.to_str().unwrap()).timeout(ms(500))));
    if let Ok(child) = fs::read_to_string(&file) {
        // Killed in the middle of its writing, it has written nothing.
        let child = child.parse().ok();
        wait_until("the job's child is gone", || child.is_none_or(process_gone));
    }
}
