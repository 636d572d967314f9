//! Behaviours 93, 94, 98 and 102: values that cannot be encoded, or do something else when they are encoded, decoded or dropped.

use std::fs;
use std::process;
use std::sync::OnceLock;
use std::thread;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, children_of, doomed, process_gone, report};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

use crate::jobs::{double, pass, worker_counts};
use crate::pool_of;

conform!(
    f93_an_argument_that_cannot_be_encoded,
    f93_among_the_inputs_of_a_map,
    f94_a_panic_while_an_argument_is_encoded,
    f94_an_exit_while_an_argument_is_encoded,
    f98_an_error_arrives_though_its_worker_ends_right_after_it,
    f102_decoding_a_result_sets_up_while_other_threads_start_workers,
);

/// An argument that cannot be encoded, or panics on the way.
#[derive(Deserialize)]
struct Bad {
    panics: bool,
}

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "encoding an argument");
        Err(serde::ser::Error::custom("no"))
    }
}

#[worker]
fn take_bad(bad: Bad) -> bool {
    bad.panics
}

fn f93_an_argument_that_cannot_be_encoded(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().start(method).workers(workers).queue(1).build().unwrap();
        let blocked: Vec<_> = (0..=workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        // At once, though all workers are busy and the queue is full.
        let job = pool.submit(take_bad::job(Bad { panics: false })).unwrap();
        assert!(job.is_finished());
        let outcome = job.wait();
        let Err(JobError::Encode(error)) = outcome else { panic!("{outcome:?}") };
        assert!(!error.in_worker && error.target == take_bad::NAME, "{error}");
        assert!(error.reason.contains("`bad`") && error.reason.contains("Bad"), "{}", error.reason);
        gate.open();
        assert!(blocked.into_iter().all(|job| job.wait().is_ok()));
    }
}

/// Those before it and behind it are done.
fn f93_among_the_inputs_of_a_map(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        let inputs = || (0..40).map(|n| MaybeBad((n % 10 != 3).then_some(n)));
        let check = |n: usize, outcome: Result<u64, JobError>| match outcome {
            Ok(value) => assert!(n % 10 != 3 && value == 2 * n as u64, "{n}: {value}"),
            Err(JobError::Encode(error)) => assert!(n % 10 == 3 && !error.in_worker, "{n}: {error}"),
            Err(error) => panic!("{n}: {error}"),
        };
        pool.map::<double_good>(inputs()).enumerate().for_each(|(n, outcome)| check(n, outcome));
        pool.map_unordered::<double_good>(inputs()).for_each(|(n, outcome)| check(n, outcome));
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

#[derive(Deserialize)]
struct MaybeBad(Option<u64>);

impl Serialize for MaybeBad {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.ok_or_else(|| serde::ser::Error::custom("no"))?;
        self.0.serialize(serializer)
    }
}

#[worker]
fn double_good(good: MaybeBad) -> u64 {
    2 * good.0.unwrap()
}

fn f94_a_panic_while_an_argument_is_encoded(method: StartMethod) {
    for workers in worker_counts() {
        for _ in 0..5 {
            let pool = pool_of(method, workers);
            let outcome = pool.run(take_bad::job(Bad { panics: true }));
            let Err(JobError::Encode(error)) = outcome else { panic!("{outcome:?}") };
            assert!(!error.in_worker && error.reason.contains("encoding an argument"), "{error}");
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            pool.join();
        }
    }
}

/// Ends its process where it is encoded.
#[derive(Deserialize)]
struct Ends;

impl Serialize for Ends {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        process::exit(7);
    }
}

#[worker]
fn take_end(end: Ends) -> usize {
    size_of_val(&end)
}

/// That is the calling process: it ends as it says, in the middle of its jobs, and leaves nobody behind.
fn f94_an_exit_while_an_argument_is_encoded(method: StartMethod) {
    let thread = thread::current();
    // libtest names its threads after their tests.
    let test = thread.name().unwrap();
    let folder = TempDir::new().unwrap();
    for _ in 0..5 {
        let mut program = doomed(test, folder.path(), |folder| {
            let gate = Gate::new(folder, &format!("gate {}", process::id()));
            let path = gate.path();
            let pool = pool_of(method, 2);
            let _running = [(); 4].map(|()| pool.submit(pass::job(&path)).unwrap());
            gate.wait_for(2);
            let workers: Vec<_> = children_of(process::id()).iter().map(u32::to_string).collect();
            report(folder, &workers.join(" "));
            drop(pool.submit(take_end::job(Ends)));
        });
        assert_eq!(program.wait().code(), Some(7), "{}", program.output());
        let workers = fs::read_to_string(folder.path().join("ready")).unwrap();
        assert_eq!(workers.split(' ').count(), 2, "{workers}");
        mpm_tests::wait_until("nobody is left", || workers.split(' ').all(|pid| process_gone(pid.parse().unwrap())));
    }
}

/// An error that ends the worker as soon as it has been sent.
#[derive(Debug, Serialize, Deserialize)]
struct LastError {
    parent: u32,
    text: String,
}

impl Drop for LastError {
    fn drop(&mut self) {
        if process::id() != self.parent {
            process::exit(0);
        }
    }
}

#[worker]
fn fails_and_ends(parent: u32, length: usize) -> Result<(), LastError> {
    Err(LastError { parent, text: "e".repeat(length) })
}

fn f98_an_error_arrives_though_its_worker_ends_right_after_it(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        for length in [5, 5, 200_000, 5] {
            let error = pool.run(fails_and_ends::job(process::id(), length)).unwrap().unwrap_err();
            assert_eq!(error.text.len(), length);
        }
    }
}

/// A value whose decoding sets something up for the whole process, slowly.
struct SetsUp(u64);

impl Serialize for SetsUp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SetsUp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static ONCE: OnceLock<u64> = OnceLock::new();
        let factor = ONCE.get_or_init(|| {
            // It uses a pool itself, as a library in there might.
            pool_of(*METHOD.get().unwrap(), 1).run(double::job(1)).unwrap()
        });
        u64::deserialize(deserializer).map(|n| Self(n * factor))
    }
}

#[worker]
fn gives_set_up(n: u64) -> SetsUp {
    SetsUp(n)
}

static METHOD: OnceLock<StartMethod> = OnceLock::new();

fn f102_decoding_a_result_sets_up_while_other_threads_start_workers(method: StartMethod) {
    METHOD.set(method).unwrap();
    let run = || {
        let pool = pool_of(method, 2);
        for (n, value) in pool.map::<gives_set_up>(0..20).enumerate() {
            assert_eq!(value.unwrap().0, 2 * n as u64);
        }
    };
    if method == StartMethod::Fork {
        // It is refused beside other threads; those that start workers are the library's.
        return (0..4).for_each(|_| run());
    }
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(run);
        }
    });
}
