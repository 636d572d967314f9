//! The end of a pool and its callbacks: it comes after the last of them, and it may come from one of them.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mpm::{EventKind, Pool};
use mpm_tests::{Gate, Log, children_of, wait_until, watchdog};
use tempfile::TempDir;

use crate::jobs::{double, pass, pid, pool_of, worker_counts};

const LONG: Duration = Duration::from_secs(3600);

/// Every way to end a pool that still exists afterwards.
pub(crate) const ENDS: [fn(&Pool); 4] = [Pool::join, Pool::kill, |pool| pool.shutdown(LONG), |pool| pool.shutdown(Duration::ZERO)];

#[mpm::test]
fn the_end_comes_after_the_last_callback() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for end in ENDS.into_iter().chain([(|_| ()) as fn(&Pool)]) {
            let (folder, calls) = (TempDir::new().unwrap(), Log::default());
            let gate = Gate::new(folder.path(), "gate");
            let path = gate.path();
            let pool = pool_of(workers);
            for n in 0..50 {
                let calls = calls.clone();
                let slow = move |_| {
                    // As its own work: callbacks lag behind.
                    thread::yield_now();
                    calls.add(n);
                };
                drop(pool.submit(double::job(n).on_done(slow)).unwrap());
            }
            let last = calls.clone();
            drop(pool.submit(pass::job(&path).on_done(move |_| last.add(50))).unwrap());
            gate.open();
            end(&pool);
            drop(pool);
            let mut calls = calls.take();
            calls.sort_unstable();
            assert_eq!(calls, (0..51).collect::<Vec<_>>());
        }
    }
}

#[mpm::test]
fn several_threads_end_a_pool_and_all_wait_for_its_callbacks() {
    let _guard = watchdog();
    for round in 0..20 {
        let pool = pool_of(2);
        let calls = Log::default();
        for n in 0..30 {
            let calls = calls.clone();
            drop(pool.submit(double::job(n).on_done(move |_| calls.add(()))).unwrap());
        }
        thread::scope(|scope| {
            for n in 0..4 {
                let (pool, calls) = (&pool, &calls);
                scope.spawn(move || {
                    ENDS[(n + round) % ENDS.len()](pool);
                    assert_eq!(calls.len(), 30);
                });
            }
        });
    }
}

#[mpm::test]
fn j146_stop_from_a_callback() {
    let _guard = watchdog();
    for end in ENDS {
        for workers in worker_counts() {
            let pool = Arc::new(pool_of(workers));
            let (done, ended) = channel();
            let inner = Arc::clone(&pool);
            let job = double::job(4).on_done(move |_| {
                end(&inner);
                assert!(inner.submit(pid::job()).unwrap_err().is_closed());
                done.send(children_of(std::process::id()).len()).unwrap();
            });
            let job = pool.submit(job).unwrap();
            // Others wait for the same end.
            let other = Arc::clone(&pool);
            let waits = thread::spawn(move || other.join());
            assert_eq!(job.wait().unwrap(), 8);
            ended.recv().unwrap();
            waits.join().unwrap();
            assert!(pool.submit(pid::job()).unwrap_err().is_closed());
        }
    }
}

#[mpm::test]
fn j146_the_last_handle_is_dropped_in_a_callback() {
    let _guard = watchdog();
    for _ in 0..20 {
        let pool = Arc::new(pool_of(2));
        let (done, ended) = channel();
        let (inner, folder) = (Arc::clone(&pool), TempDir::new().unwrap());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let job = pool.submit(pass::job(&path).on_done(move |_| {
            drop(inner);
            done.send(()).unwrap();
        }));
        drop(pool);
        gate.open();
        assert!(job.unwrap().wait().is_ok());
        ended.recv().unwrap();
    }
}

#[mpm::test]
fn j146_stop_from_who_listens() {
    let _guard = watchdog();
    for end in ENDS {
        let slot = Arc::new(Mutex::new(None::<Arc<Pool>>));
        let (inner, (done, ended)) = (Arc::clone(&slot), channel());
        let builder = Pool::builder().workers(1).on_event(move |event| {
            if matches!(event.kind, EventKind::JobFailed { .. }) {
                // Dropped here, as the last one perhaps.
                let pool = inner.lock().unwrap().take().unwrap();
                end(&pool);
                drop(pool);
                done.send(()).unwrap();
            }
        });
        let pool = Arc::new(builder.build().unwrap());
        *slot.lock().unwrap() = Some(Arc::clone(&pool));
        assert!(pool.run(crate::panics::job("for once")).unwrap_err().is_panicked());
        drop(pool);
        ended.recv().unwrap();
    }
}

#[mpm::test]
fn callbacks_cancel_and_wait() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Arc::new(pool_of(1));
    let waiting = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let second = pool.submit(double::job(2)).unwrap();
    let (done, ended) = channel();
    let inner = Arc::clone(&pool);
    let third = pool.submit(double::job(3).on_done(move |_| {
        assert!(second.cancel() && second.wait().unwrap_err().is_cancelled());
        // The worker is let through while this waits for it, and for a job that comes after.
        gate.open();
        assert_eq!(inner.run(double::job(5)).unwrap(), 10);
        done.send(()).unwrap();
    }));
    assert!(third.unwrap().cancel());
    ended.recv().unwrap();
    assert!(waiting.wait().is_ok());
    wait_until("the pool is nobody else's", || Arc::strong_count(&pool) == 1);
}
