//! What judges the results of jobs: it may take its time and use the pool, and holds up nobody but jobs that are judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use mpm::{Pool, Retry};
use mpm_tests::{Gate, Log, wait_until, watchdog};
use tempfile::TempDir;

use crate::ends::ENDS;
use crate::jobs::{Way, die, double, pass, pool_of, worker_counts};

fn soon(times: u32) -> Retry {
    Retry::times(times).backoff(Duration::from_millis(1), Duration::from_millis(1))
}

#[mpm::test]
fn what_judges_may_use_the_pool() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Arc::new(pool_of(workers));
        let inner = Arc::clone(&pool);
        // The supervisor has to bury a worker and start another one before the second job can run.
        let again = move |value: &u64| {
            assert!(inner.run(die::job(Way::Kill)).unwrap_err().is_died());
            inner.run(double::job(*value)).unwrap() == 16
        };
        let tries = Log::default();
        let counted = tries.clone();
        let job = double::job(4).retries(soon(2)).retry_if(move |value| {
            counted.add(*value);
            again(value)
        });
        assert_eq!(pool.run(job).unwrap(), 8);
        assert_eq!(tries.take(), [8; 3]);
    }
}

#[mpm::test]
fn what_judges_slowly_holds_up_nobody_else() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let (begun, begins) = channel();
        let (go_on, goes_on) = channel::<()>();
        let goes_on = std::sync::Mutex::new(goes_on);
        let judged = double::job(1).retries(soon(1)).retry_if(move |_| {
            begun.send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
            false
        });
        let judged = pool.submit(judged).unwrap();
        begins.recv().unwrap();
        // Deaths, starts and time-outs are the supervisor's.
        for n in 0..5 {
            assert!(pool.run(die::job(Way::Abort)).unwrap_err().is_died());
            assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n);
        }
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        assert!(pool.run(pass::job(&gate.path()).timeout(Duration::from_millis(20))).unwrap_err().is_timed_out());
        let (done, dones) = channel();
        drop(pool.submit(double::job(3).on_done(move |_| done.send(()).unwrap())).unwrap());
        dones.recv().unwrap();
        assert!(!judged.is_finished());
        go_on.send(()).unwrap();
        assert_eq!(judged.wait().unwrap(), 2);
    }
}

#[mpm::test]
fn stop_from_what_judges() {
    let _guard = watchdog();
    for end in ENDS {
        for again in [false, true] {
            let pool = Arc::new(pool_of(2));
            let inner = Arc::clone(&pool);
            let job = double::job(4).retries(soon(1)).retry_if(move |_| {
                // It returns at once: the end waits for this.
                end(&inner);
                assert!(inner.submit(double::job(1)).unwrap_err().is_closed());
                again
            });
            let job = pool.submit(job).unwrap();
            pool.join();
            assert_eq!(job.wait().unwrap(), 8);
        }
    }
}

#[mpm::test]
fn stop_from_a_callback_while_a_result_is_judged() {
    let _guard = watchdog();
    for end in ENDS {
        let pool = Arc::new(pool_of(2));
        let (begun, begins) = channel();
        let (ending, calls) = (Arc::new(AtomicBool::new(false)), Log::default());
        let (seen, noted) = (Arc::clone(&ending), calls.clone());
        let judged = double::job(1).retries(soon(1)).retry_if(move |_| {
            begun.send(()).unwrap();
            wait_until("the pool is asked to end", || seen.load(Ordering::SeqCst));
            false
        });
        let judged = pool.submit(judged.on_done(move |done| noted.add(done.outcome.unwrap()))).unwrap();
        begins.recv().unwrap();
        let inner = Arc::clone(&pool);
        let calls_end = double::job(2).on_done(move |_| {
            ending.store(true, Ordering::SeqCst);
            end(&inner);
        });
        drop(pool.submit(calls_end).unwrap());
        assert_eq!(judged.wait().unwrap(), 2);
        drop(pool);
        wait_until("the callbacks are called", || calls.len() == 1);
        assert_eq!(calls.take(), [2]);
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in the drop of what judges");
    }
}

/// The thread that judged had ended, or the supervisor.
#[mpm::test]
fn what_judges_may_panic_when_it_is_dropped() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let job = || {
            let held = PanicsInDrop;
            double::job(1).retries(soon(1)).retry_if(move |_| {
                let _ = &held;
                false
            })
        };
        for _ in 0..3 {
            // Not before `submit` has dropped its own: that would be the test's panic.
            pool.pause();
            let judged = pool.submit(job()).unwrap();
            pool.resume();
            assert_eq!(judged.wait().unwrap(), 2);
            pool.pause();
            assert!(pool.submit(job()).unwrap().cancel());
            pool.resume();
            assert_eq!(pool.run(double::job(2).retries(soon(1)).retry_if(|_| false)).unwrap(), 4);
        }
        pool.join();
    }
}

/// What judges may wait for a job of the same kind, though only one of these runs at once: its own does not run any more.
#[mpm::test]
fn a_job_that_is_judged_takes_no_place_of_its_kind() {
    let _guard = watchdog();
    let pool = Arc::new(Pool::builder().workers(2).limit_concurrency::<double>(1).build().unwrap());
    let inner = Arc::clone(&pool);
    let job = double::job(4).retries(soon(1)).retry_if(move |value| inner.run(double::job(*value)).unwrap() != 16);
    assert_eq!(pool.run(job).unwrap(), 8);
}

/// Uses the pool when it is dropped.
struct SubmitsInDrop(Arc<Pool>, Log<bool>);

impl Drop for SubmitsInDrop {
    fn drop(&mut self) {
        self.1.add(self.0.submit(double::job(1)).is_ok());
    }
}

/// Its job has ended before it has run, and lies in the queue still; or it ends otherwise.
#[mpm::test]
fn what_judges_is_dropped_where_it_may_use_the_pool() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let (pool, drops) = (Arc::new(pool_of(workers)), Log::default());
        let submit = || {
            let held = SubmitsInDrop(Arc::clone(&pool), drops.clone());
            let job = double::job(1).retries(soon(1)).retry_if(move |_| {
                let _ = &held;
                false
            });
            pool.submit(job).unwrap()
        };
        pool.pause();
        let jobs: Vec<_> = (0..20).map(|_| submit()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            match n % 4 {
                0 => assert!(job.cancel()),
                1 => assert!(job.cancel() && job.wait().unwrap_err().is_cancelled()),
                _ => drop(job),
            }
        }
        pool.resume();
        assert_eq!(submit().wait().unwrap(), 2);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                thread::spawn({
                    let pool = Arc::clone(&pool);
                    move || pool.join()
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        wait_until("all are dropped", || drops.len() == 21);
    }
}
