//! Behaviours, group C, as far as the pool's own queue goes: what happens when it is full, and to those who wait for room.

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use jobs::{double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, worker};
use mpm_tests::{Gate, kill, wait_until, watchdog};
use serde::{Deserialize, Serialize, Serializer};
use tempfile::TempDir;

#[derive(Deserialize)]
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("refused"))
    }
}

#[worker]
fn take(_it: Refuses) {}

#[mpm::test]
fn c53_try_submit_on_a_full_queue_gives_the_job_back() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().workers(workers).queue(6).build().unwrap();
        let mut jobs: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        jobs.extend((0..6).map(|_| pool.try_submit(pass::job(&path)).unwrap()));
        let refused = pool.try_submit(pass::job(&path)).unwrap_err();
        assert!(refused.is_full() && !refused.is_closed() && !refused.is_failed() && !refused.is_unknown_target());
        assert!(refused.to_string().contains("as many jobs wait as it holds (6)"), "{refused}");
        let back = refused.into_job();
        assert!(jobs.pop().unwrap().cancel(), "makes room");
        jobs.push(pool.try_submit(back).unwrap());
        let error = mpm::Error::from(pool.try_submit(pass::job(&path)).unwrap_err());
        assert!(error.is_full() && !error.is_job(), "{error}");
        gate.open();
        assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
        assert_eq!(gate.arrived(), workers as u64 + 6);
    }
}

#[mpm::test]
fn c60_a_blocked_submit_goes_on_when_there_is_room() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().workers(workers).queue(1).build().unwrap();
        thread::scope(|scope| {
            let submitters: Vec<_> = (0..10).map(|_| scope.spawn(|| pool.submit(pass::job(&path)).unwrap().wait())).collect();
            gate.wait_for(workers as u64);
            gate.open();
            assert!(submitters.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
    }
}

/// What releases those who wait for room.
#[derive(Clone, Copy, Debug)]
enum Release {
    Shutdown,
    Kill,
    Join,
}

#[mpm::test]
fn c60_blocked_submitters_are_released_by_the_end_of_the_pool() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for release in [Release::Shutdown, Release::Kill, Release::Join] {
        let gate = Gate::new(folder.path(), &format!("gate-{release:?}"));
        let path = gate.path();
        let pool = Pool::builder().workers(1).queue(1).build().unwrap();
        let running = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        let waiting = pool.submit(pass::job(&path)).unwrap();
        thread::scope(|scope| {
            let (begins, begun) = channel();
            let blocked: Vec<_> = (0..5)
                .map(|_| {
                    let begins = begins.clone();
                    let (pool, path) = (&pool, &path);
                    scope.spawn(move || {
                        begins.send(()).unwrap();
                        pool.submit(pass::job(path)).map(drop).map_err(|refused| (refused.is_closed(), refused.is_full()))
                    })
                })
                .collect();
            (0..5).for_each(|_| begun.recv().unwrap());
            let ending = scope.spawn(|| match release {
                Release::Shutdown => pool.shutdown(Duration::from_secs(3600)),
                Release::Kill => pool.kill(),
                Release::Join => pool.join(),
            });
            let released: Vec<_> = blocked.into_iter().map(|thread| thread.join().unwrap()).collect();
            // A killed job must not find the gate open before it dies.
            if !matches!(release, Release::Kill) {
                gate.open();
            }
            ending.join().unwrap();
            assert_eq!(released, [Err((true, false)); 5], "{release:?}");
        });
        match release {
            Release::Shutdown => {
                assert!(running.wait().is_ok());
                assert!(matches!(waiting.wait(), Err(JobError::Cancelled(_))));
            }
            Release::Kill => {
                assert!(matches!(running.wait(), Err(JobError::Cancelled(_))));
                assert!(matches!(waiting.wait(), Err(JobError::Cancelled(_))));
            }
            Release::Join => assert!(running.wait().is_ok() && waiting.wait().is_ok()),
        }
    }
}

#[mpm::test]
fn c60_blocked_submitters_are_released_by_the_failure_of_the_pool() {
    let _guard = watchdog();
    let pool = Pool::builder().workers(1).queue(1).cwd("/no/such/folder").build().unwrap();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| match pool.submit(pid::job()) {
                Ok(job) => {
                    let error = job.wait().unwrap_err();
                    assert!(matches!(&error, JobError::PoolFailed(reason) if reason.contains("/no/such/folder")), "{error}");
                }
                Err(refused) => assert!(refused.is_failed() && refused.to_string().contains("/no/such/folder"), "{refused}"),
            });
        }
    });
}

#[mpm::test]
fn c61_very_many_tiny_jobs_at_once() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).queue(20_000).build().unwrap();
        let jobs: Vec<_> = (0..20_000).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), 2 * n as u64);
        }
    }
}

#[mpm::test]
fn c62_a_hundred_bad_jobs_then_a_hundred_good_ones() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).queue(4).build().unwrap();
        let bad: Vec<_> = (0..100).map(|_| pool.submit(take::job(Refuses)).unwrap()).collect();
        let good: Vec<_> = (0..100).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        for job in bad {
            let id = job.id();
            let outcome = job.wait();
            let Err(JobError::Encode(error)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((error.job, error.target, error.in_worker), (id, take::NAME, false));
            assert!(error.reason.contains("Refuses"), "{}", error.reason);
        }
        for (n, job) in good.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), 2 * n as u64);
        }
    }
}

#[mpm::test]
fn c64_results_that_nobody_reads_hold_nothing_up() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).queue(10_000).build().unwrap();
        let jobs: Vec<_> = (0..2000).map(|n| pool.submit(long_text::job(n)).unwrap()).collect();
        pool.join();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap().len(), n);
        }
    }
}

#[worker]
fn long_text(n: usize) -> String {
    "x".repeat(n)
}

#[mpm::test]
fn c64_handles_that_are_dropped_let_their_jobs_run() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    gate.open();
    let path = gate.path();
    let pool = pool_of(2);
    for _ in 0..50 {
        drop(pool.submit(pass::job(&path)).unwrap());
    }
    pool.join();
    assert_eq!(gate.arrived(), 50);
}

#[mpm::test]
fn c99_a_full_queue_and_workers_that_are_gone() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().workers(workers).queue(8).build().unwrap();
        let running: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let waiting: Vec<_> = (0..8).map(|_| pool.submit(pid::job()).unwrap()).collect();
        thread::scope(|scope| {
            let joining = scope.spawn(|| pool.join());
            wait_until("the pool is closed", || pool.try_submit(pid::job()).is_err_and(|refused| refused.is_closed()));
            running.iter().for_each(|job| kill(job.report().pid.unwrap(), libc::SIGKILL));
            joining.join().unwrap();
        });
        assert!(running.into_iter().all(|job| job.wait().is_err_and(|error| error.is_died())));
        assert!(waiting.into_iter().all(|job| job.wait().is_ok()), "a join runs what waits, on new workers");
    }
}
