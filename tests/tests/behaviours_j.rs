//! Behaviours, group J: the end of a pool, in every way and at every moment.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::fs;
use std::future::Future;
use std::path::Path;
use std::process;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, JobHandle, Pool, worker};
use mpm_tests::{Gate, alone, block_on, children_of, doomed, process_gone, report, wait_at, wait_until, watchdog};
use serde::{Deserialize, Serialize, Serializer};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3600);

/// Every way to end a pool that still exists afterwards.
const ENDS: [fn(&Pool); 4] = [Pool::join, Pool::kill, |pool| pool.shutdown(LONG), |pool| pool.shutdown(Duration::ZERO)];

fn is_cancelled<R>(outcome: &Result<R, JobError>) -> bool {
    matches!(outcome, Err(JobError::Cancelled(_)))
}

#[mpm::test]
fn j134_submit_after_the_end() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for end in ENDS {
            let pool = pool_of(workers);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            end(&pool);
            for refused in [pool.submit(pid::job()).unwrap_err(), pool.try_submit(pid::job()).unwrap_err()] {
                assert!(refused.is_closed() && !refused.is_full() && !refused.is_failed(), "{refused}");
                assert!(mpm::Error::from(refused).is_closed());
            }
            assert!(matches!(pool.run(pid::job()), Err(JobError::PoolFailed(reason)) if reason.contains("takes no more jobs")));
            assert!(pool.map::<double>(0..3).all(|outcome| matches!(outcome, Err(JobError::PoolFailed(_)))));
            assert_eq!(pool.map_unordered::<double>(0..3).filter(|(_, outcome)| outcome.is_err()).count(), 3);
        }
    }
}

#[mpm::test]
fn j135_join_finishes_everything() {
    alone("j135_join_finishes_everything", || {
        for workers in worker_counts() {
            let pool = pool_of(workers);
            let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            pool.join();
            assert!(jobs.iter().all(JobHandle::is_finished));
            assert_eq!(children_of(process::id()), []);
            assert_eq!(jobs.into_iter().map(|job| job.wait().unwrap()).sum::<u64>(), 49 * 50);
        }
    });
}

#[mpm::test]
fn j136_ended_twice_in_every_order() {
    let _guard = watchdog();
    for first in ENDS {
        for second in ENDS {
            let pool = pool_of(1);
            let job = pool.submit(double::job(1)).unwrap();
            first(&pool);
            second(&pool);
            assert!(job.is_finished());
        }
    }
}

#[mpm::test]
fn j136_ended_by_many_threads_at_once() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for round in 0..10 {
            let pool = pool_of(workers);
            let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            thread::scope(|scope| {
                for n in 0..6 {
                    let pool = &pool;
                    scope.spawn(move || {
                        ENDS[(n + round) % ENDS.len()](pool);
                        assert!(pool.submit(pid::job()).unwrap_err().is_closed());
                    });
                }
            });
            assert!(jobs.iter().all(JobHandle::is_finished));
        }
    }
}

#[mpm::test]
fn j137_a_shutdown_that_does_not_wait_long() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let jobs: Vec<_> = (0..3 * workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let pids: Vec<u32> = jobs.iter().filter_map(|job| job.report().pid).collect();
        pool.shutdown(Duration::from_millis(20));
        assert!(pids.len() >= workers && pids.into_iter().all(process_gone));
        for job in jobs {
            let id = job.id();
            let outcome = job.wait();
            let Err(JobError::Cancelled(cancelled)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((cancelled.job, cancelled.target), (id, pass::NAME));
        }
    }
}

#[mpm::test]
fn j137_a_second_end_hurries_the_first() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for (at, first) in [Pool::join, |pool: &Pool| pool.shutdown(LONG)].into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{at}"));
        let path = gate.path();
        let pool = pool_of(1);
        let jobs = [pool.submit(pass::job(&path)).unwrap(), pool.submit(pass::job(&path)).unwrap()];
        gate.wait_for(1);
        thread::scope(|scope| {
            let waits = scope.spawn(|| first(&pool));
            wait_until("the pool is closed", || pool.try_submit(pid::job()).is_err());
            pool.kill();
            waits.join().unwrap();
        });
        assert!(jobs.into_iter().all(|job| is_cancelled(&job.wait())));
    }
}

#[mpm::test]
fn j138_kill_with_ten_thousand_jobs_queued() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().workers(workers).queue(10_000).build().unwrap();
        let jobs: Vec<_> = (0..10_000).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        pool.kill();
        assert!(jobs.into_iter().all(|job| is_cancelled(&job.wait())));
        assert_eq!(gate.arrived(), workers as u64);
    }
}

#[mpm::test]
fn j139_main_returns_and_the_pool_lives_in_a_static() {
    let _guard = watchdog();
    static POOL: OnceLock<Pool> = OnceLock::new();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("j139_main_returns_and_the_pool_lives_in_a_static", folder.path(), |folder| {
        let pool = POOL.get_or_init(|| pool_of(2));
        let idle = pool.run(pid::job()).unwrap();
        let gate = Gate::new(folder, "gate");
        let path = gate.path();
        let busy = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        report(folder, &format!("{idle} {}", busy.report().pid.unwrap()));
    });
    let pids: Vec<u32> = process.wait_report().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(process.wait().success(), "{}", process.output());
    wait_until("the workers are gone", || pids.iter().all(|pid| process_gone(*pid)));
    assert!(!process.output().contains("panicked"), "{}", process.output());
}

#[mpm::test]
fn j141_dropped_with_jobs_running() {
    alone("j141_dropped_with_jobs_running", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(10).grace(LONG).build().unwrap();
        let running: Vec<_> = (0..10).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(10);
        let queued: Vec<_> = (0..10).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        thread::scope(|scope| {
            scope.spawn(|| drop(pool));
            mpm::wait_all(&queued);
            assert!(running.iter().all(|job| !job.is_finished()));
            gate.open();
        });
        assert!(running.into_iter().all(|job| job.wait().is_ok()));
        assert!(queued.into_iter().all(|job| is_cancelled(&job.wait())));
        assert_eq!(children_of(process::id()), []);
    });
}

#[mpm::test]
fn j141_dropped_before_its_workers_are_there() {
    alone("j141_dropped_before_its_workers_are_there", || {
        for workers in worker_counts() {
            for _ in 0..20 {
                drop(pool_of(workers));
                let pool = pool_of(workers);
                let job = pool.submit(pid::job()).unwrap();
                drop(pool);
                assert!(matches!(job.wait(), Ok(_) | Err(JobError::Cancelled(_))));
                assert_eq!(children_of(process::id()), []);
            }
        }
    });
}

#[mpm::test]
fn j142_a_worker_crashes_while_the_pool_is_joined() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for way in [Way::Exit(1), Way::NullWrite] {
            let pool = pool_of(workers);
            let before = pool.submit(double::job(1)).unwrap();
            let crash = pool.submit(die::job(way)).unwrap();
            let after: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            pool.join();
            assert_eq!(before.wait().unwrap(), 2);
            assert!(crash.wait().unwrap_err().is_died());
            assert!(after.into_iter().all(|job| job.wait().is_ok()));
        }
    }
}

#[derive(Deserialize)]
struct Bad;

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[worker]
fn take_bad(_bad: Bad) {}

#[mpm::test]
fn j143_a_bad_job_and_the_end() {
    let _guard = watchdog();
    for end in ENDS {
        let pool = pool_of(2);
        let job = pool.submit(take_bad::job(Bad)).unwrap();
        end(&pool);
        assert!(matches!(job.wait(), Err(JobError::Encode(_))));
    }
}

#[worker]
fn two_steps(gate: &str, file: &str) {
    wait_at(gate);
    fs::write(file, "").unwrap();
}

#[mpm::test]
fn j144_a_killed_job_never_comes_to_its_second_step() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let (path, file) = (gate.path(), folder.path().join("second"));
        let pool = pool_of(workers);
        let job = pool.submit(two_steps::job(&path, file.to_str().unwrap())).unwrap();
        gate.wait_for(1);
        let worker = job.report().pid.unwrap();
        pool.kill();
        assert!(process_gone(worker));
        gate.open();
        assert!(is_cancelled(&job.wait()) && !file.exists());
    }
    // Nothing to kill: a pool that was never used, and one that has failed.
    pool_of(1).kill();
    let failed = Pool::builder().workers(1).cwd("/no/such/folder").build().unwrap();
    assert!(failed.run(pid::job()).is_err());
    failed.kill();
    assert!(failed.submit(pid::job()).unwrap_err().is_failed());
}

/// A job that has a pool of its own, this many levels deep; the deepest one waits at the gate.
#[worker]
fn nested(depth: u32, gate: &str, folder: &str) -> u32 {
    fs::write(Path::new(folder).join(process::id().to_string()), "").unwrap();
    if depth == 0 {
        wait_at(gate);
        return 0;
    }
    pool_of(1).run(nested::job(depth - 1, gate, folder)).unwrap() + 1
}

#[mpm::test]
fn j145_kill_with_nested_pools() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let levels = folder.path().join("levels");
    fs::create_dir(&levels).unwrap();
    let pool = pool_of(1);
    let job = pool.submit(nested::job(3, &path, levels.to_str().unwrap())).unwrap();
    gate.wait_for(1);
    pool.kill();
    let pids: Vec<u32> =
        fs::read_dir(&levels).unwrap().map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(pids.len(), 4);
    wait_until("no worker of any level is left", || pids.iter().all(|pid| process_gone(*pid)));
    assert!(is_cancelled(&job.wait()));
}

/// A waker that ends the pool, on whatever thread it is called.
struct Ender {
    pool: Mutex<Option<Arc<Pool>>>,
    end: fn(&Pool),
    done: Sender<()>,
}

impl Wake for Ender {
    fn wake(self: Arc<Self>) {
        if let Some(pool) = self.pool.lock().unwrap().take() {
            (self.end)(&pool);
            assert!(pool.submit(pid::job()).unwrap_err().is_closed());
            // It may be the last one that holds the pool.
            drop(pool);
            self.done.send(()).unwrap();
        }
    }
}

#[mpm::test]
fn j146_the_end_from_a_waker() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for (at, end) in ENDS.into_iter().enumerate() {
        for main_waits in [false, true] {
            let gate = Gate::new(folder.path(), &format!("gate-{at}-{main_waits}"));
            let path = gate.path();
            let pool = Arc::new(pool_of(1));
            let mut job = Box::pin(pool.submit(pass::job(&path)).unwrap());
            let waiting = pool.submit(double::job(1)).unwrap();
            let (done, ended) = channel();
            let waker = Waker::from(Arc::new(Ender { pool: Mutex::new(Some(Arc::clone(&pool))), end, done }));
            assert!(job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            gate.wait_for(1);
            if main_waits {
                let joiner = thread::spawn(move || pool.join());
                wait_until("the gate can be opened", || thread_waits(&joiner));
                gate.open();
                joiner.join().unwrap();
            } else {
                drop(pool);
                gate.open();
            }
            ended.recv().unwrap();
            assert!(block_on(job).is_ok());
            assert!(matches!(waiting.wait(), Ok(2) | Err(JobError::Cancelled(_))));
        }
    }
}

/// Long enough looked at for the thread to have begun to wait, mostly; the test holds in either case.
fn thread_waits(thread: &thread::JoinHandle<()>) -> bool {
    thread::yield_now();
    !thread.is_finished()
}

#[mpm::test]
fn j148_all_who_wait_are_woken_by_the_end() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1);
    let submit = || pool.submit(pass::job(&path)).unwrap();
    let (a, b, c, mut d, e) = (submit(), submit(), submit(), submit(), submit());
    gate.wait_for(1);
    thread::scope(|scope| {
        scope.spawn(|| assert!(is_cancelled(&a.wait())));
        scope.spawn(|| assert!(is_cancelled(&block_on(b))));
        scope.spawn(|| assert_eq!(mpm::wait_any(&[c]), Some(0)));
        scope.spawn(move || assert!(d.wait_timeout(LONG).is_some_and(|outcome| is_cancelled(&outcome))));
        scope.spawn(|| assert!(mpm::as_completed([e]).all(|(_, outcome)| is_cancelled(&outcome))));
        scope.spawn(|| assert!(pool.map::<pass>([path.as_str()]).all(|outcome| outcome.is_err())));
        pool.kill();
    });
}

#[mpm::test]
fn j150_submitting_while_the_pool_ends() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for round in 0..20 {
            let pool = Pool::builder().workers(workers).queue(8).build().unwrap();
            let accepted = thread::scope(|scope| {
                let submitters: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut jobs = Vec::new();
                            loop {
                                match pool.submit(double::job(jobs.len() as u64)) {
                                    Ok(job) => jobs.push(job),
                                    Err(refused) => {
                                        assert!(refused.is_closed(), "{refused}");
                                        return jobs;
                                    }
                                }
                            }
                        })
                    })
                    .collect();
                ENDS[round % ENDS.len()](&pool);
                submitters.into_iter().flat_map(|thread| thread.join().unwrap().into_iter().enumerate()).collect::<Vec<_>>()
            });
            for (n, job) in accepted {
                match job.wait() {
                    Ok(value) => assert_eq!(value, 2 * n as u64),
                    Err(JobError::Cancelled(_)) => assert_ne!(round % ENDS.len(), 0, "a join cancels nothing"),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}
