//! Behaviours, group H: cancellation.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, block_on, block_signal, watchdog};
use tempfile::TempDir;

const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

/// Comes to the gate, which says that it runs, and never ends by itself; a stubborn one heeds no SIGTERM.
#[worker]
fn arrive_and_spin(gate: &str, stubborn: bool) {
    if stubborn {
        block_signal(libc::SIGTERM);
    }
    mpm_tests::arrive_at(gate);
    while std::hint::black_box(true) {
        std::hint::spin_loop();
    }
}

/// As `arrive_and_spin`, and ends at a checkpoint.
#[worker]
fn arrive_and_check(gate: &str) {
    mpm_tests::arrive_at(gate);
    loop {
        mpm::current().checkpoint();
    }
}

/// As `arrive_and_spin`, but returns what it was asked.
#[worker]
fn arrive_and_return(gate: &str) -> bool {
    mpm_tests::arrive_at(gate);
    while !mpm::current().is_cancelled() {
        std::hint::spin_loop();
    }
    true
}

#[mpm::test]
fn queued() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate{workers}"));
        let pool = pool_of(workers);
        let running: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&gate.path())).unwrap()).collect();
        gate.wait_for(workers as u64);
        let (by_cancel, by_abort) = (pool.submit(pid::job()).unwrap(), pool.submit(pid::job()).unwrap());
        assert!(by_cancel.cancel() && by_abort.abort());
        assert!(!by_cancel.cancel() && !by_abort.abort(), "once");
        for job in [by_cancel, by_abort] {
            assert!(job.is_finished() && job.wait().unwrap_err().is_cancelled());
        }
        gate.open();
        running.into_iter().for_each(|job| assert!(job.wait().is_ok()));
    }
}

#[mpm::test]
fn running_forced() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    for (n, method) in METHODS.into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate{n}"));
        let pool = Pool::builder().workers(1).start(method).grace(Duration::from_millis(40)).build().unwrap();
        let first = pool.run(pid::job()).unwrap();
        for stubborn in [false, true] {
            let before = gate.arrived();
            let job = pool.submit(arrive_and_spin::job(&gate.path(), stubborn)).unwrap();
            gate.wait_for(before + 1);
            assert!(!job.cancel(), "not forced");
            assert!(job.abort() && job.abort(), "as long as it has not ended");
            let error = job.wait().unwrap_err();
            assert!(error.is_cancelled() && error.to_string().contains("ended it and its worker"), "{error}");
        }
        assert_ne!(pool.run(pid::job()).unwrap(), first);
    }
}

#[mpm::test]
fn running_not_forced() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(1);
    let job = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(!job.cancel());
    gate.open();
    assert_eq!(job.wait().unwrap(), pool.run(pid::job()).unwrap());
}

#[mpm::test]
fn running_that_heeds_it() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = Pool::builder().workers(1).grace(Duration::from_secs(40)).build().unwrap();
    let first = pool.run(pid::job()).unwrap();
    let job = pool.submit(arrive_and_check::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(job.abort());
    let error = job.wait().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("it ended itself"), "{error}");
    let job = pool.submit(arrive_and_return::job(&gate.path())).unwrap();
    gate.wait_for(2);
    assert!(job.abort());
    assert!(job.wait().unwrap(), "a value that it returns before it is killed counts");
    assert_eq!(pool.run(pid::job()).unwrap(), first, "the worker goes on");
}

#[mpm::test]
fn finished() {
    let _watchdog = watchdog();
    let pool = pool_of(1);
    let job = pool.submit(double::job(21)).unwrap();
    assert!(mpm::wait_any(&[job]).is_some());
    let job = pool.submit(double::job(21)).unwrap();
    mpm::wait_all(std::slice::from_ref(&job));
    assert!(!job.cancel() && !job.abort());
    assert_eq!(job.wait().unwrap(), 42);
}

#[mpm::test]
fn abort_of_an_awaited_job_wakes_the_task() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
    let job = pool.submit(arrive_and_spin::job(&gate.path(), false)).unwrap();
    gate.wait_for(1);
    assert!(job.abort());
    assert!(block_on(job).unwrap_err().is_cancelled());
}

#[mpm::test]
fn the_next_job_is_never_hit() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).grace(Duration::from_millis(1)).build().unwrap();
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

#[mpm::test]
fn cancel_vs_finish_vs_death_together() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).grace(Duration::ZERO).build().unwrap();
    let mut ends = BTreeSet::new();
    for round in 0..60 {
        let job = match round % 2 {
            0 => pool.submit(die_or_live::job(true)).unwrap(),
            _ => pool.submit(die_or_live::job(false)).unwrap(),
        };
        let start = Barrier::new(3);
        let aborted = thread::scope(|scope| {
            let by_abort = scope.spawn(|| {
                start.wait();
                job.abort()
            });
            let by_cancel = scope.spawn(|| {
                start.wait();
                job.cancel()
            });
            start.wait();
            by_abort.join().unwrap() | by_cancel.join().unwrap()
        });
        // Exactly one of the three, and the same again for whoever else looks.
        ends.insert(match job.wait() {
            Ok(()) => "value",
            Err(JobError::Died(_)) => "death",
            Err(JobError::Cancelled(_)) => {
                assert!(aborted);
                "cancelled"
            }
            Err(error) => panic!("{error}"),
        });
    }
    assert!(!ends.is_empty());
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[worker]
fn die_or_live(dies: bool) {
    if dies {
        die(Way::Kill);
    }
}

#[mpm::test]
fn abort_while_the_pool_ends() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = Pool::builder().workers(1).grace(Duration::from_millis(20)).build().unwrap();
    let job = pool.submit(arrive_and_spin::job(&gate.path(), false)).unwrap();
    gate.wait_for(1);
    thread::scope(|scope| {
        scope.spawn(|| pool.join());
        assert!(job.abort());
    });
    assert!(job.wait().unwrap_err().is_cancelled());
}

#[mpm::test]
fn a_shutdown_asks_the_running_jobs_to_end() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(2);
    let checks = pool.submit(arrive_and_check::job(&gate.path())).unwrap();
    let returns = pool.submit(arrive_and_return::job(&gate.path())).unwrap();
    gate.wait_for(2);
    pool.shutdown(Duration::from_secs(100));
    let error = checks.wait().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("the pool ends, and the job ended itself"), "{error}");
    assert!(returns.wait().unwrap());
}
