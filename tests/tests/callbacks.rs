//! What a pool calls when jobs end, and what may be done in it: everything. Callbacks run one after the other, each once, and a
//! pool's end comes after the last of them.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "callbacks/ends.rs"]
mod ends;
#[path = "behaviours/jobs.rs"]
mod jobs;
#[path = "callbacks/judges.rs"]
mod judges;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{Done, EventKind, JobError, Pool, worker};
use mpm_tests::{Gate, Log, alone, alone_with_one_thread, kill, readable, switches, watchdog};
use serde::{Deserialize, Serialize, Serializer};
use tempfile::TempDir;

#[worker]
fn panics(text: &str) -> u64 {
    panic!("{text}");
}

struct Bad;

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl<'de> Deserialize<'de> for Bad {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("not here"))
    }
}

#[worker]
fn take_bad(_bad: Bad) {}

#[worker]
fn give_bad(n: u32) -> Opaque {
    Opaque(n)
}

/// Can be encoded, and not decoded.
#[derive(Debug)]
struct Opaque(u32);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("decoding panics");
    }
}

/// A list of what was called, with the kind of the outcome and the report's id.
type Calls = Log<(&'static str, String, u64)>;

fn kind<R>(outcome: &Result<R, JobError>) -> String {
    match outcome {
        Ok(_) => "value".to_owned(),
        Err(JobError::Panicked(_)) => "panicked".to_owned(),
        Err(JobError::Died(_)) => "died".to_owned(),
        Err(JobError::Cancelled(_)) => "cancelled".to_owned(),
        Err(JobError::Encode(_)) => "encode".to_owned(),
        Err(JobError::Decode(_)) => "decode".to_owned(),
        Err(other) => other.to_string(),
    }
}

/// Notes its call.
fn note<R>(calls: &Calls, name: &'static str) -> impl FnOnce(Done<R>) + Send + use<R> {
    let calls = calls.clone();
    move |done| calls.add((name, kind(&done.outcome), done.report.job))
}

#[mpm::test]
fn b39_callbacks_run_once_in_order_whatever_the_end() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(workers);
        let calls = Calls::default();
        let blocks: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let value = pool.submit(double::job(4).on_done(note(&calls, "value 1")).on_done(note(&calls, "value 2"))).unwrap();
        let id = value.id();
        let cancelled = pool.submit(double::job(5).on_done(note(&calls, "cancelled"))).unwrap();
        assert!(cancelled.cancel());
        // One whose arguments cannot be encoded has ended when it is submitted.
        drop(pool.submit(take_bad::job(Bad).on_done(note(&calls, "encode"))).unwrap());
        gate.open();
        assert_eq!(value.wait().unwrap(), 8);
        let panic = pool.submit(panics::job("once").on_done(note(&calls, "panicked"))).unwrap();
        assert!(panic.wait().unwrap_err().is_panicked());
        drop(pool.submit(die::job(Way::Kill).on_done(note(&calls, "died"))).unwrap());
        assert!(pool.submit(give_bad::job(1).on_done(note(&calls, "decode"))).unwrap().wait().is_err());
        drop(blocks);
        pool.join();
        let calls = calls.take();
        let of = |name: &str| calls.iter().filter(|(known, ..)| *known == name).collect::<Vec<_>>();
        for name in ["cancelled", "encode", "panicked", "died", "decode"] {
            assert!(matches!(of(name)[..], [(_, kind, _)] if kind == name), "{name} in {calls:?}");
        }
        assert!(matches!(of("value 1")[..], [(_, kind, job)] if kind == "value" && *job == id), "{calls:?}");
        let at = |name: &str| calls.iter().position(|(known, ..)| *known == name).unwrap();
        assert_eq!(at("value 2"), at("value 1") + 1, "{calls:?}");
        assert!(at("cancelled") < at("encode") && at("encode") < at("value 1") && at("value 1") < at("panicked"), "{calls:?}");
        assert_eq!(calls.len(), 7);
    }
}

#[mpm::test]
fn b39_callbacks_of_a_pool_that_fails() {
    let _guard = watchdog();
    let calls = Calls::default();
    let pool = Pool::builder().workers(1).cwd("/no/such/folder").build().unwrap();
    // It may have failed already: then the job comes back, and nothing is called.
    let accepted = (0..5).filter_map(|_| pool.submit(double::job(1).on_done(note(&calls, "job"))).ok()).count();
    pool.join();
    let calls = calls.take();
    assert_eq!(calls.len(), accepted);
    assert!(calls.iter().all(|(_, kind, _)| kind.contains("/no/such/folder")), "{calls:?}");
}

#[mpm::test]
fn b39_a_job_that_is_not_accepted_calls_nothing_and_comes_back_with_it() {
    let _guard = watchdog();
    let calls = Calls::default();
    let ended = pool_of(1);
    ended.join();
    let refused = ended.submit(double::job(4).on_done(note(&calls, "job"))).unwrap_err();
    assert!(refused.is_closed());
    // One that cannot be encoded is refused as well, since nobody would call.
    let bad = ended.submit(take_bad::job(Bad).on_done(note(&calls, "bad"))).unwrap_err();
    assert!(bad.is_closed());
    assert!(calls.is_empty());
    let pool = pool_of(1);
    drop(pool.submit(refused.into_job()).unwrap());
    pool.join();
    assert!(matches!(&calls.take()[..], [("job", kind, _)] if kind == "value"));
}

/// A job whose end submits the next one, so many times.
struct Chain {
    pool: Arc<Pool>,
    crashes: bool,
    done: Mutex<Sender<u64>>,
}

#[worker]
fn crash_or_give(crash: bool, n: u64) -> u64 {
    if crash {
        Way::Abort.go();
    }
    n
}

impl Chain {
    fn step(self: Arc<Self>, left: u64) {
        if left == 0 {
            return self.done.lock().unwrap().send(left).unwrap();
        }
        let pool = Arc::clone(&self.pool);
        let job = crash_or_give::job(self.crashes && left % 10 == 5, left).on_done(move |done| {
            assert!(done.outcome.is_ok_and(|n| n == left) || left % 10 == 5);
            self.step(left - 1);
        });
        drop(pool.submit(job).unwrap());
    }
}

#[mpm::test]
fn b40_submit_from_a_callback() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Arc::new(pool_of(workers));
        let chains = [(100, false), (50, true), (60, false)].map(|(steps, crashes)| {
            let (done, ended) = channel();
            Arc::new(Chain { pool: Arc::clone(&pool), crashes, done: Mutex::new(done) }).step(steps);
            ended
        });
        for ended in chains {
            assert_eq!(ended.recv().unwrap(), 0);
        }
    }
}

#[mpm::test]
fn b41_one_call_with_a_value_or_with_an_error() {
    let _guard = watchdog();
    let (values, errors) = (Log::default(), Log::default());
    let pool = pool_of(2);
    for n in 0..200 {
        let (values, errors) = (values.clone(), errors.clone());
        let job = crash_or_give::job(n % 40 == 7, n).on_done(move |done| match done.outcome {
            Ok(value) => values.add(value),
            Err(error) => errors.add((n, error.is_died())),
        });
        drop(pool.submit(job).unwrap());
    }
    pool.join();
    let mut errors = errors.take();
    errors.sort_unstable();
    assert_eq!(errors, [(7, true), (47, true), (87, true), (127, true), (167, true)]);
    let mut values = values.take();
    values.sort_unstable();
    assert_eq!(values, (0..200).filter(|n| n % 40 != 7).collect::<Vec<_>>());
}

#[worker]
fn bytes(len: usize) -> String {
    "x".repeat(len)
}

/// The handle and the callback get the same outcome, whoever comes first; one that is large is copied out of shared memory for each.
#[mpm::test]
fn the_handle_gives_the_outcome_as_well() {
    let _guard = watchdog();
    let pool = pool_of(2);
    let lengths = Log::default();
    for round in 0..40 {
        for len in [10, 1000, 3_000_000] {
            let noted = lengths.clone();
            let mut job = pool.submit(bytes::job(len).on_done(move |done| noted.add(done.outcome.unwrap().len()))).unwrap();
            match round % 4 {
                0 => assert_eq!(job.wait().unwrap().len(), len),
                1 => {
                    assert_eq!(job.wait_timeout(Duration::from_secs(3600)).unwrap().unwrap().len(), len);
                    assert!(matches!(job.wait(), Err(JobError::Taken)));
                }
                2 => {
                    assert_eq!(pool.run(bytes::job(1)).unwrap().len(), 1);
                    assert_eq!(mpm_tests::block_on(job).unwrap().len(), len);
                }
                _ => drop(job),
            }
        }
    }
    pool.join();
    let mut lengths = lengths.take();
    lengths.sort_unstable();
    let expected: Vec<_> = [10, 1000, 3_000_000].into_iter().flat_map(|len| [len; 40]).collect();
    assert!(lengths == expected, "{} calls", lengths.len());
}

#[mpm::test]
fn the_report_says_who_ran_it() {
    let _guard = watchdog();
    let pool = Pool::builder().name("told").workers(1).build().unwrap();
    let worker = pool.run(pid::job()).unwrap();
    let (send, report) = channel();
    let job = pool.submit(pid::job().on_done(move |done| send.send(done.report).unwrap())).unwrap();
    let (id, report) = (job.id(), report.recv().unwrap());
    assert_eq!((report.job, report.worker.as_deref(), report.pid, report.attempt), (id, Some("told-0"), Some(worker), 1));
    assert!(report.target == pid::NAME && report.ran.is_some());
}

#[mpm::test]
fn a_callback_that_panics_hurts_no_other() {
    let _guard = watchdog();
    let calls = Calls::default();
    let pool = pool_of(2);
    for n in 0..20 {
        let job = double::job(n).on_done(|_| panic!("a callback that panics")).on_done(note(&calls, "next"));
        drop(pool.submit(job).unwrap());
    }
    pool.join();
    assert_eq!(calls.len(), 20);
}

#[mpm::test]
fn a_copy_of_the_process_is_made_while_callbacks_are_there() {
    alone_with_one_thread("a_copy_of_the_process_is_made_while_callbacks_are_there", || {
        let heard = Log::default();
        let listener = heard.clone();
        let pool = Pool::builder().workers(2).on_event(move |event| listener.add(event.to_string())).build().unwrap();
        let calls = Calls::default();
        for n in 0..20 {
            drop(pool.submit(double::job(n).on_done(note(&calls, "job"))).unwrap());
            // The thread for callbacks may be anywhere now.
            assert_eq!(mpm::isolate(|| 2 + 2).unwrap(), 4);
        }
        // In a copy the pool can be dropped, and calls nothing.
        assert!(mpm::isolate(|| pool.submit(double::job(1).on_done(|_| ())).is_err()).unwrap());
        pool.join();
        assert_eq!(calls.len(), 20);
        assert!(!heard.is_empty());
    });
}

#[mpm::test]
fn an_idle_pool_that_calls_wakes_nobody() {
    alone("an_idle_pool_that_calls_wakes_nobody", || {
        let ready = Log::default();
        let heard = ready.clone();
        let pool = Pool::builder().workers(2).on_event(move |event| {
            if matches!(event.kind, EventKind::WorkerReady { .. }) {
                heard.add(());
            }
        });
        let pool = pool.build().unwrap();
        let (send, received) = channel();
        drop(pool.submit(double::job(1).on_done(move |_| send.send(()).unwrap())).unwrap());
        received.recv().unwrap();
        mpm_tests::wait_until("both workers are ready", || ready.len() == 2);
        let all = || switches(std::process::id(), "mpm-");
        assert!(all().keys().any(|thread| thread.starts_with("mpm-callbacks")), "{:?}", all());
        // Who wakes now and then is never quiet for so long.
        mpm_tests::wait_until("nobody is woken for 2 s", || {
            let before = all();
            assert_eq!(readable(&[], Some(Duration::from_secs(2))), []);
            all() == before
        });
    });
}

#[mpm::test]
fn many_threads_submit_what_calls() {
    let _guard = watchdog();
    let calls = Calls::default();
    let pool = Pool::builder().workers(2).queue(8).build().unwrap();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for n in 0..100 {
                    drop(pool.submit(double::job(n).on_done(note(&calls, "job"))).unwrap());
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                kill(pool.run(pid::job()).unwrap_or_else(|_| std::process::id()), 0);
            }
        });
    });
    pool.join();
    let mut ids: Vec<u64> = calls.take().into_iter().map(|(_, _, id)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 600);
}
