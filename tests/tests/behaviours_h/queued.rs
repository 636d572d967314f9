//! Behaviours 113, 115 and 117: jobs that have not started, jobs that have ended, and maps of which a part has run.

use std::thread;
use std::time::Duration;

use mpm::{Done, JobError, Pool, StartMethod};
use mpm_tests::{Gate, Log, block_on, call_of, wait_until};
use tempfile::TempDir;

use crate::jobs::{Way, die, worker_counts};
use crate::pools::{build, double, pass};
use crate::{mark, marks};

conform!(
    h113_queued,
    h113_whoever_waits_for_a_queued_job_is_woken,
    h115_finished,
    h117_map_cancel,
    h117_map_cancelled_by_the_end_of_its_pool,
    h117_map_dropped,
    h117_jobs_of_a_map_keep_their_wishes,
);

/// A call with the number of a job, and whether it was cancelled.
type Calls = Log<(u64, bool)>;

fn note(calls: &Calls) -> impl FnOnce(Done<u32>) + Send + use<> {
    let calls = calls.clone();
    move |done| calls.add((done.report.job, done.outcome.is_err_and(|error| error.is_cancelled())))
}

/// Cancelled, it never starts, has its one outcome, and is called back once.
fn h113_queued(method: StartMethod) {
    for workers in worker_counts() {
        let (folder, ran, calls) = (TempDir::new().unwrap(), TempDir::new().unwrap(), Calls::default());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = build(Pool::builder().workers(workers), method);
        let running: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let submit = |n| pool.submit(mark::job(ran.path(), n, "").on_done(note(&calls))).unwrap();
        let (by_cancel, by_abort, stays) = (submit(1), submit(2), submit(3));
        let ids = [by_cancel.id(), by_abort.id(), stays.id()];
        assert!(by_cancel.cancel() && by_abort.abort());
        assert!(!by_cancel.cancel() && !by_cancel.abort() && !by_abort.cancel() && !by_abort.abort(), "once");
        for job in [by_cancel, by_abort] {
            assert!(job.is_finished() && job.report().pid.is_none());
            assert!(job.wait().unwrap_err().is_cancelled());
        }
        gate.open();
        running.into_iter().for_each(|job| assert!(job.wait().is_ok()));
        assert_eq!(stays.wait().unwrap(), 3);
        pool.join();
        assert_eq!(marks(ran.path()), [3], "{workers} workers");
        let mut calls = calls.take();
        calls.sort_unstable();
        assert_eq!(calls, [(ids[0], true), (ids[1], true), (ids[2], false)], "{workers} workers");
    }
}

/// A way to wait for a job, and what is to come of it.
type Wait<'a> = Box<dyn FnOnce() + Send + 'a>;

/// In whatever way it waits.
fn h113_whoever_waits_for_a_queued_job_is_woken(method: StartMethod) {
    const LONG: Duration = Duration::from_secs(3600);
    let (folder, ran) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(1), method);
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let submit = |n| pool.submit(mark::job(ran.path(), n, "").tag("all")).unwrap();
    let [waited, polled, mut timed, any, all, listed] = [1, 2, 3, 4, 5, 6].map(submit);
    let is_cancelled = |outcome: Result<u32, JobError>| assert!(outcome.unwrap_err().is_cancelled());
    let (any, all) = (&[any], &[all]);
    let inner = &pool;
    let ways: [(&str, Wait<'_>); 7] = [
        ("waits", Box::new(move || is_cancelled(waited.wait()))),
        ("polls", Box::new(move || is_cancelled(block_on(polled)))),
        ("times", Box::new(move || is_cancelled(timed.wait_timeout(LONG).unwrap()))),
        ("any", Box::new(move || assert_eq!(mpm::wait_any(any), Some(0)))),
        ("all", Box::new(move || mpm::wait_all(all))),
        ("lists", Box::new(move || mpm::as_completed([listed]).for_each(|(_, outcome)| is_cancelled(outcome)))),
        ("runs", Box::new(|| is_cancelled(inner.run(mark::job(ran.path(), 7, "").tag("all"))))),
    ];
    let names = ways.each_ref().map(|(name, _)| *name);
    thread::scope(|scope| {
        let threads = ways.map(|(name, way)| thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, way).unwrap());
        wait_until("all sleep", || names.iter().all(|name| call_of(name).is_some()));
        // Two by their handles, the others together. The one that is run may not be there yet.
        assert!(any[0].cancel() && all[0].abort());
        let mut taken = 0;
        wait_until("all are taken back", || {
            taken += pool.cancel_tagged("all");
            taken == 5
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    gate.open();
    assert!(running.wait().is_ok());
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    assert_eq!(marks(ran.path()), [], "none has run");
}

/// Whatever its outcome is: it is kept.
fn h115_finished(method: StartMethod) {
    let pool = build(Pool::builder().workers(1), method);
    for _ in 0..3 {
        let job = pool.submit(double::job(21)).unwrap();
        mpm::wait_all(std::slice::from_ref(&job));
        assert!(!job.cancel() && !job.abort());
        assert_eq!(job.wait().unwrap(), 42);
    }
    let job = pool.submit(die::job(Way::Exit(3))).unwrap();
    mpm::wait_all(std::slice::from_ref(&job));
    assert!(!job.cancel() && !job.abort());
    assert!(job.wait().unwrap_err().is_died());
}

/// Each job of a map keeps what was asked for it, also behind many short ones.
fn h117_jobs_of_a_map_keep_their_wishes(method: StartMethod) {
    let calls: Log<Option<String>> = Log::default();
    let pool = build(Pool::builder().workers(2), method);
    let jobs = (0..4_000).map(|n| {
        let calls = calls.clone();
        let job = double::job(n);
        if n % 100 == 99 {
            job.tag(n.to_string()).on_done(move |done| calls.add(done.report.tag.map(|tag| tag.to_string())))
        } else {
            job
        }
    });
    assert!(pool.map_jobs(jobs).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
    pool.join();
    let mut calls: Vec<u64> = calls.take().into_iter().map(|tag| tag.unwrap().parse().unwrap()).collect();
    calls.sort_unstable();
    assert_eq!(calls, (0..40).map(|n| 100 * n + 99).collect::<Vec<_>>());
}

const BEFORE: u32 = 10;
const ALL: u32 = 40;

/// The arguments of a map, of which the job behind the first ten stops at the gate.
fn inputs<'a>(folder: &'a TempDir, gate: &'a str) -> impl Iterator<Item = (&'a std::path::Path, u32, &'a str)> {
    (0..ALL).map(move |n| (folder.path(), n, if n == BEFORE { gate } else { "" }))
}

/// What has started goes on, what remains yields `Cancelled`, in order and one for each input.
fn h117_map_cancel(method: StartMethod) {
    let (folder, ran) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(1), method);
    // Short ones would travel together, if they had no tag.
    assert_eq!(pool.map::<double>(0..3_000).filter(Result::is_ok).count(), 3_000);
    let jobs = inputs(&ran, &path).map(|(folder, n, gate)| mark::job(folder, n, gate).tag("map"));
    let mut outcomes = pool.map_jobs(jobs).look_ahead(ALL as usize);
    for n in 0..BEFORE {
        assert_eq!(outcomes.next().unwrap().unwrap(), n);
    }
    gate.wait_for(1);
    assert_eq!(pool.cancel_tagged("map"), (ALL - BEFORE - 1) as usize);
    gate.open();
    assert_eq!(outcomes.next().unwrap().unwrap(), BEFORE, "it has started");
    let rest: Vec<_> = outcomes.collect();
    assert_eq!(rest.len(), (ALL - BEFORE - 1) as usize);
    assert!(rest.into_iter().all(|outcome| matches!(outcome, Err(JobError::Cancelled(_)))));
    assert_eq!(marks(ran.path()), (0..=BEFORE).collect::<Vec<_>>());
    assert_eq!(pool.run(double::job(4)).unwrap(), 8, "the pool goes on");
}

/// What remains of a map when its pool ends yields `Cancelled`, in order and one for each input.
fn h117_map_cancelled_by_the_end_of_its_pool(method: StartMethod) {
    let ends: [fn(&Pool); 2] = [Pool::kill, |pool| pool.shutdown(Duration::ZERO)];
    for end in ends {
        let (folder, ran) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = build(Pool::builder().workers(1), method);
        let mut outcomes = pool.map::<mark>(inputs(&ran, &path)).look_ahead(ALL as usize);
        for n in 0..BEFORE {
            assert_eq!(outcomes.next().unwrap().unwrap(), n);
        }
        gate.wait_for(1);
        end(&pool);
        let rest: Vec<_> = outcomes.collect();
        assert_eq!(rest.len(), (ALL - BEFORE) as usize);
        assert!(rest.into_iter().all(|outcome| matches!(outcome, Err(JobError::Cancelled(_)))));
        assert_eq!(marks(ran.path()), (0..=BEFORE).collect::<Vec<_>>());
    }
}

/// Nobody is there to have what remains: it does not run.
fn h117_map_dropped(method: StartMethod) {
    for unordered in [false, true] {
        let (folder, ran) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = build(Pool::builder().workers(1), method);
        if unordered {
            let mut outcomes = pool.map_unordered::<mark>(inputs(&ran, &path));
            assert!((0..BEFORE).all(|_| outcomes.next().unwrap().1.is_ok()));
            gate.wait_for(1);
            drop(outcomes);
        } else {
            let mut outcomes = pool.map::<mark>(inputs(&ran, &path)).look_ahead(ALL as usize);
            assert!((0..BEFORE).all(|_| outcomes.next().unwrap().is_ok()));
            gate.wait_for(1);
            drop(outcomes);
        }
        let behind = pool.submit(double::job(4)).unwrap();
        gate.open();
        assert_eq!(behind.wait().unwrap(), 8);
        pool.join();
        assert_eq!(marks(ran.path()), (0..=BEFORE).collect::<Vec<_>>(), "unordered: {unordered}");
    }
}
