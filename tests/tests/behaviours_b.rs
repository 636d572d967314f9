//! Behaviours, group B: submitting, mapping, and what many callers see of one pool.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use jobs::{die, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, worker};
use mpm_tests::{Gate, wait_at, wait_until, watchdog};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<(String, f64)>,
    note: Option<String>,
    prices: BTreeMap<String, i128>,
}

#[worker]
fn everything(
    a: u8,
    b: &str,
    c: &[u8],
    d: Order,
    e: &Order,
    f: (),
    g: Option<Vec<u8>>,
) -> (u8, String, Vec<u8>, Order, Order, (), Option<Vec<u8>>) {
    (a, b.to_owned(), c.to_vec(), d, e.clone(), f, g)
}

#[worker]
fn nothing() {}

#[worker]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    if b == 0 { Err(format!("{a} by nothing")) } else { Ok(a / b) }
}

/// Returns what it got, and has the third input panic and the seventh die.
#[worker]
fn picky(n: u64) -> u64 {
    match n {
        3 => panic!("three"),
        7 => jobs::Way::Exit(7).go(),
        _ => {}
    }
    n
}

/// Waits at the gate if it is told one.
#[worker]
fn maybe_pass(gate: &str) -> u32 {
    if !gate.is_empty() {
        wait_at(gate);
    }
    std::process::id()
}

#[mpm::test]
fn b28_submit() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().name("shop").workers(workers).build().unwrap();
        let order = Order {
            id: u64::MAX,
            lines: vec![("tea".to_owned(), 0.1), (String::new(), f64::MIN_POSITIVE)],
            note: Some("žluťoučký 🐎\0".to_owned()),
            prices: [("a".to_owned(), i128::MIN), ("b".to_owned(), i128::MAX)].into(),
        };
        let sent = (7, "text\0with nul".to_owned(), vec![0, 255, 10], order.clone(), order.clone(), (), Some(vec![1]));
        let job =
            pool.submit(everything::job(7, "text\0with nul", &[0, 255, 10], order.clone(), &order, (), Some(vec![1]))).unwrap();
        let other = pool.submit(nothing::job()).unwrap();
        assert!(other.id() > job.id(), "ids ascend");
        other.wait().unwrap();
        mpm::wait_all(std::slice::from_ref(&job));
        let report = job.report();
        assert_eq!((report.job, report.target, report.attempt), (job.id(), everything::NAME, 1));
        assert!(report.worker.as_deref().is_some_and(|name| name.starts_with("shop-")), "{report:?}");
        assert!(report.ran.is_some_and(|ran| !ran.is_zero()) && report.pid.is_some(), "{report:?}");
        assert_eq!(job.wait().unwrap(), sent);
    }
}

#[mpm::test]
fn b28_the_report_names_the_process_that_ran_it() {
    let _guard = watchdog();
    let pool = pool_of(2);
    let job = pool.submit(pid::job()).unwrap();
    mpm::wait_all(std::slice::from_ref(&job));
    let reported = job.report().pid;
    assert_eq!(reported, Some(job.wait().unwrap()));
    assert_ne!(reported, Some(std::process::id()));
}

#[mpm::test]
fn b29_map_keeps_the_order() {
    let _guard = watchdog();
    let expected: Vec<u64> = (0..100).map(|n| 2 * n).collect();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for ahead in [0, 1, 3, 6, 100, 110, usize::MAX] {
            let got: Result<Vec<u64>, _> = pool.map::<double>(0..100).look_ahead(ahead).collect();
            assert_eq!(got.unwrap(), expected, "{workers} workers, {ahead} ahead");
            let got: BTreeMap<usize, u64> =
                pool.map_unordered::<double>(0..100).look_ahead(ahead).map(|(at, value)| (at, value.unwrap())).collect();
            assert_eq!(got.into_values().collect::<Vec<_>>(), expected, "{workers} workers, {ahead} ahead, unordered");
        }
    }
}

#[mpm::test]
fn b29_map_over_several_inputs_stops_at_the_shortest() {
    let _guard = watchdog();
    let pool = pool_of(2);
    let got: Vec<_> = pool.map::<divide>((1..).zip([1, 0, 2])).map(Result::unwrap).collect();
    assert_eq!(got, [Ok(1), Err("2 by nothing".to_owned()), Ok(1)]);
}

#[mpm::test]
fn b31_empty_input() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for ahead in [1, 1000] {
            assert_eq!(pool.map::<double>([]).look_ahead(ahead).count(), 0);
            assert_eq!(pool.map_unordered::<double>([]).look_ahead(ahead).count(), 0);
        }
        assert_eq!(mpm::as_completed::<u64>([]).count(), 0);
        assert_eq!(mpm::wait_any::<u64>(&[]), None);
        assert_eq!(mpm::wait_any_timeout::<u64>(&[], Duration::MAX), None);
        mpm::wait_all::<u64>(&[]);
        assert!(mpm::wait_all_timeout::<u64>(&[], Duration::ZERO));
    }
}

#[mpm::test]
fn b32_error_inside_map() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let check = |at: usize, outcome: Result<u64, JobError>| match (at, outcome) {
            (3, Err(JobError::Panicked(panic))) => assert_eq!(panic.message, "three"),
            (7, Err(JobError::Died(death))) => assert_eq!(death.how, mpm::HowItEnded::Exited(7)),
            (3 | 7, other) => panic!("{at}: {other:?}"),
            (_, outcome) => assert_eq!(outcome.unwrap(), at as u64),
        };
        let mut count = 0;
        for (at, outcome) in pool.map::<picky>(0..40).enumerate() {
            check(at, outcome);
            count += 1;
        }
        assert_eq!(count, 40, "the iteration goes on behind an error");
        let mut seen = BTreeSet::new();
        for (at, outcome) in pool.map_unordered::<picky>(0..40) {
            check(at, outcome);
            seen.insert(at);
        }
        assert_eq!(seen.len(), 40);
    }
}

#[mpm::test]
fn b32_an_input_iterator_that_panics() {
    let _guard = watchdog();
    let pool = pool_of(2);
    let inputs = || (0..).inspect(|n| assert!(*n < 5, "no more inputs"));
    let mut ordered = pool.map::<double>(inputs()).look_ahead(1);
    let mut unordered = pool.map_unordered::<double>(inputs()).look_ahead(1);
    for n in 0..5 {
        assert_eq!(ordered.next().unwrap().unwrap(), 2 * n);
        assert_eq!(unordered.next().unwrap().1.unwrap(), 2 * n);
    }
    let message = |payload: Box<dyn std::any::Any + Send>| payload.downcast_ref::<&str>().map(ToString::to_string);
    let panicked = catch_unwind(AssertUnwindSafe(|| ordered.next().is_some())).expect_err("it panics in the caller");
    assert_eq!(message(panicked).as_deref(), Some("no more inputs"));
    let panicked = catch_unwind(AssertUnwindSafe(|| unordered.next().is_some())).expect_err("it panics in the caller");
    assert_eq!(message(panicked).as_deref(), Some("no more inputs"));
    drop((ordered, unordered));
    assert_eq!(pool.run(double::job(4)).unwrap(), 8, "the pool is as good as before");
}

#[mpm::test]
fn b34_unordered() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in [2, 4] {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let inputs = (0..10).map(|n| if n == 4 { path.as_str() } else { "" });
        let mut outcomes = pool.map_unordered::<maybe_pass>(inputs);
        let first: BTreeSet<usize> = outcomes.by_ref().take(9).map(|(at, outcome)| outcome.map(|_| at).unwrap()).collect();
        assert_eq!(first, (0..10).filter(|n| *n != 4).collect(), "{workers} workers");
        gate.open();
        assert_eq!(outcomes.next().map(|(at, outcome)| (at, outcome.is_ok())), Some((4, true)));
        assert!(outcomes.next().is_none());
    }
}

#[mpm::test]
fn b35_lazy_map_over_an_endless_input() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for ahead in [1, 7, 64] {
            let pulled = Cell::new(0);
            let inputs = (0_u64..).inspect(|_| pulled.set(pulled.get() + 1));
            let mut outcomes = pool.map::<double>(inputs).look_ahead(ahead);
            assert_eq!(pulled.get(), 0, "nothing is pulled before it is asked for");
            for n in 0..500 {
                assert_eq!(outcomes.next().unwrap().unwrap(), 2 * n);
                assert!(pulled.get() <= n as usize + ahead, "{} pulled for {n}, {ahead} ahead", pulled.get());
            }
            drop(outcomes);
            let inputs = (0_u64..).inspect(|_| pulled.set(pulled.get() + 1));
            pulled.set(0);
            for (count, (_, outcome)) in pool.map_unordered::<double>(inputs).look_ahead(ahead).take(500).enumerate() {
                outcome.unwrap();
                assert!(pulled.get() <= count + ahead);
            }
        }
    }
}

#[mpm::test]
fn b35_a_map_that_is_dropped_takes_back_what_has_not_started() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for unordered in [false, true] {
        let gate = Gate::new(folder.path(), &format!("gate-{unordered}"));
        let path = gate.path();
        let pool = pool_of(2);
        let first = pool.submit(pass::job(&path)).unwrap();
        let other = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(2);
        // Behind the two that hold both workers, nothing of the map can start.
        let endless = std::iter::repeat(path.as_str());
        thread::scope(|scope| {
            let map = scope.spawn(|| {
                if unordered {
                    pool.map_unordered::<pass>(endless).look_ahead(20).next().map(|(_, outcome)| outcome)
                } else {
                    pool.map::<pass>(endless).look_ahead(20).next()
                }
            });
            gate.open();
            assert!(map.join().unwrap().unwrap().is_ok());
        });
        first.wait().unwrap();
        other.wait().unwrap();
        // The map is gone; what comes now finds an empty queue, and what ran of it has run.
        pool.run(double::job(1)).unwrap();
        pool.join();
        assert!(gate.arrived() <= 2 + 20, "{} arrived", gate.arrived());
    }
}

#[mpm::test]
fn b35_a_pool_that_is_killed_ends_a_half_used_map() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let mut outcomes = pool.map::<double>(0..).look_ahead(10);
        assert_eq!(outcomes.next().unwrap().unwrap(), 0);
        pool.kill();
        let mut refused = 0;
        for outcome in outcomes.by_ref().take(30) {
            match outcome {
                Ok(_) => {}
                Err(JobError::Cancelled(_)) => {}
                Err(JobError::PoolFailed(reason)) => {
                    assert!(reason.contains("takes no more jobs"), "{reason}");
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused >= 20, "{refused}");
    }
}

#[mpm::test]
fn b42_shared_by_threads() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).queue(16).build().unwrap();
        thread::scope(|scope| {
            for thread in 0..10_u64 {
                let pool = &pool;
                scope.spawn(move || {
                    let numbers = thread * 1000..thread * 1000 + 60;
                    let got: Result<Vec<u64>, _> = pool.map::<double>(numbers.clone()).collect();
                    assert_eq!(got.unwrap(), numbers.clone().map(|n| 2 * n).collect::<Vec<_>>());
                    for n in numbers {
                        let job = pool.submit(double::job(n)).unwrap();
                        let taken_back = n % 3 == 0 && job.cancel();
                        match job.wait() {
                            Ok(value) => assert!(!taken_back && value == 2 * n),
                            Err(JobError::Cancelled(_)) => assert!(taken_back),
                            Err(other) => panic!("{other}"),
                        }
                    }
                });
            }
        });
        assert_eq!(pool.run(double::job(3)).unwrap(), 6);
    }
}

#[mpm::test]
fn b44_returned_error_values() {
    let _guard = watchdog();
    let pool = pool_of(1);
    assert_eq!(pool.run(divide::job(6, 3)).unwrap(), Ok(2));
    assert_eq!(pool.run(divide::job(6, 0)).unwrap(), Err("6 by nothing".to_owned()));
}

/// Leaves a file behind when it is dropped, with the process in its name.
#[derive(Serialize, Deserialize)]
struct Mark(String);

impl Drop for Mark {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            fs::write(format!("{}-{}", self.0, std::process::id()), "").unwrap();
        }
    }
}

#[worker]
fn take_mark(owned: Mark, borrowed: &Mark) -> usize {
    owned.0.len() + borrowed.0.len()
}

#[mpm::test]
fn b45_no_stale_references() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let pool = pool_of(1);
    let (owned, borrowed) = (path("owned"), path("borrowed"));
    pool.run(take_mark::job(Mark(owned.clone()), &Mark(borrowed.clone()))).unwrap();
    // The worker has no further job that could push the old arguments out.
    let worker = mpm_tests::children_of(std::process::id()).into_iter();
    let dropped_in_worker = |path: &str| worker.clone().any(|pid| Path::new(&format!("{path}-{pid}")).exists());
    wait_until("the worker has dropped the owned argument", || dropped_in_worker(&owned));
    wait_until("the worker has dropped the borrowed argument", || dropped_in_worker(&borrowed));
}

#[mpm::test]
fn b46_an_idle_worker_is_used_again() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let pids: BTreeSet<u32> = (0..3).map(|_| pool.run(pid::job()).unwrap()).collect();
        assert_eq!(pids.len(), 1, "{workers} workers: {pids:?}");
    }
}

#[mpm::test]
fn b46_jobs_that_block_use_every_worker() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let jobs: Vec<_> = (0..15 * workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        // Every worker is blocked, so the others cannot have arrived.
        assert_eq!(gate.arrived(), workers as u64);
        gate.open();
        let pids: BTreeSet<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
        assert_eq!(pids.len(), workers);
    }
}

#[mpm::test]
fn b47_spread() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(2);
    let jobs: Vec<_> = (0..5).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    gate.wait_for(2);
    gate.open();
    let pids: BTreeSet<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
    assert_eq!(pids.len(), 2);
}

#[mpm::test]
fn b49_jobs_in_fixed_order() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).round_robin(true).build().unwrap();
        let order: Vec<u32> = pool.broadcast(pid::job()).unwrap().wait().into_iter().map(|(_, pid)| pid.unwrap()).collect();
        for _twice in 0..2 {
            let jobs = (0..10 * workers).map(|_| ());
            let pids: Vec<u32> = pool.map::<pid>(jobs).map(Result::unwrap).collect();
            assert!(pids.chunks(workers).all(|round| round == order), "{workers} workers: {pids:?}, not {order:?}");
        }
    }
}

#[mpm::test]
fn b48_concurrent_maps_on_one_pool() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let mut evens = pool.map::<double>(0..200).look_ahead(9);
        let mut others = pool.map_unordered::<double>(1000..1200).look_ahead(5);
        let mut seen = BTreeSet::new();
        for n in 0..200 {
            assert_eq!(evens.next().unwrap().unwrap(), 2 * n);
            let (at, value) = others.next().unwrap();
            assert_eq!(value.unwrap(), 2 * (1000 + at as u64));
            assert!(seen.insert(at));
        }
        assert!(evens.next().is_none() && others.next().is_none());
    }
}

#[mpm::test]
fn b51_dispatch_race() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for queue in [1, 2, 10, 1000] {
            let pool = Arc::new(Pool::builder().workers(workers).queue(queue).build().unwrap());
            for count in [1_u64, 2, 3, 10, 100] {
                let expected: BTreeSet<u64> = (0..count).map(|n| 2 * n).collect();
                let jobs: Vec<_> = (0..count).map(|n| pool.submit(double::job(n)).unwrap()).collect();
                let values: Vec<u64> = mpm::as_completed(jobs).map(|(_, value)| value.unwrap()).collect();
                assert_eq!(values.len() as u64, count, "none twice");
                assert_eq!(values.into_iter().collect::<BTreeSet<_>>(), expected, "{workers} workers, queue {queue}, {count} jobs");
            }
        }
    }
}

#[mpm::test]
fn b52_fail_fast() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in [2, 4] {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let bad = pool.submit(picky::job(3)).unwrap();
        let good: Vec<_> = (0..100).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        assert!(bad.wait().unwrap_err().is_panicked());
        gate.wait_for(workers as u64);
        pool.kill();
        for job in good {
            assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
        }
        assert!(pool.submit(die::job(jobs::Way::Kill)).unwrap_err().is_closed());
    }
}
