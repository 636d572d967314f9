//! Behaviours, group F: where pools of other makes have come to a standstill.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use jobs::{double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, worker};
use mpm_tests::{Gate, alone, children_of, process_gone, wait_at, watchdog};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

const MB: usize = 1_000_000;

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

#[mpm::test]
fn f93_an_argument_that_cannot_be_encoded() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = Pool::builder().workers(workers).queue(1).build().unwrap();
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

#[mpm::test]
fn f94_a_panic_while_an_argument_is_encoded() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for _ in 0..5 {
            let pool = pool_of(workers);
            let outcome = pool.run(take_bad::job(Bad { panics: true }));
            let Err(JobError::Encode(error)) = outcome else { panic!("{outcome:?}") };
            assert!(!error.in_worker && error.reason.contains("encoding an argument"), "{error}");
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            pool.join();
        }
    }
}

#[worker]
fn echo_bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[worker]
fn echo_text(text: &str) -> String {
    text.to_owned()
}

#[worker]
fn count(bytes: &[u8]) -> (u64, u64) {
    (bytes.len() as u64, bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum())
}

#[mpm::test]
fn f95_a_hundred_megabytes_there_and_back() {
    let _guard = watchdog();
    let mut bytes = vec![0_u8; 100 * MB];
    bytes.iter_mut().enumerate().step_by(997).for_each(|(at, byte)| *byte = at as u8);
    let pool = pool_of(2);
    for _ in 0..2 {
        assert!(pool.run(echo_bytes::job(bytes.clone())).unwrap() == bytes);
    }
    let text = "žába ".repeat(2 * MB);
    assert!(pool.run(echo_text::job(&text)).unwrap() == text);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[mpm::test]
fn f95_payloads_around_every_limit() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let mib = 1024 * 1024;
    for limit in [0_usize, 1024, 4096, 32 * 1024, 64 * 1024, 128 * 1024, mib, 64 * mib] {
        for size in limit.saturating_sub(40)..=limit + 40 {
            // The largest ones cost too much for each of the sizes.
            if limit < mib || size.abs_diff(limit) <= 1 {
                let bytes = vec![(size % 251) as u8; size];
                assert!(pool.run(echo_bytes::job(bytes.clone())).unwrap() == bytes, "{size}");
            }
        }
    }
}

#[mpm::test]
fn f95_more_than_two_gibibytes() {
    let _guard = watchdog();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = available.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap();
    if kib < 8 * 1024 * 1024 {
        println!("left out: it needs 8 GiB of memory, and {kib} KiB are available");
        return;
    }
    let size = 2 * 1024 * 1024 * 1024 + 4097;
    let mut bytes = vec![0_u8; size];
    bytes[size - 1] = 1;
    bytes[4096] = 2;
    bytes[size - 4097] = 3;
    let sum = bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum();
    let pool = pool_of(1);
    match pool.run(count::job(&bytes)) {
        Ok(counted) => assert_eq!(counted, (size as u64, sum)),
        Err(JobError::Encode(error)) => assert!(error.reason.contains(&size.to_string()), "{error}"),
        Err(other) => panic!("{other}"),
    }
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[worker]
fn hold(gate: &str, bytes: &[u8]) -> Vec<u8> {
    wait_at(gate);
    bytes.to_vec()
}

#[mpm::test]
fn f96_stop_while_a_hundred_megabytes_are_in_flight() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let bytes = vec![1; 100 * MB];
    let stops: [fn(&Pool); 3] = [Pool::kill, |pool| pool.shutdown(Duration::from_millis(1)), |_| {}];
    for (at, stop) in stops.into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{at}"));
        let path = gate.path();
        let pool = Pool::builder().workers(1).grace(Duration::from_millis(1)).build().unwrap();
        let job = pool.submit(hold::job(&path, &bytes)).unwrap();
        gate.wait_for(1);
        let worker = job.report().pid.unwrap();
        stop(&pool);
        drop(pool);
        assert!(process_gone(worker));
        assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
        // The moment of sending and taking in the payload, on either side.
        let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
        let job = pool.submit(echo_bytes::job(bytes.clone())).unwrap();
        stop(&pool);
        drop(pool);
        assert!(matches!(job.wait(), Ok(_) | Err(JobError::Cancelled(_))));
    }
}

#[mpm::test]
fn f97_cancel_all_with_ten_times_a_hundred_megabytes_queued() {
    let _guard = watchdog();
    let pool = pool_of(2);
    let bytes = vec![1; 100 * MB];
    let mut jobs: Vec<_> = (0..10).map(|_| pool.submit(count::job(&bytes)).unwrap()).collect();
    let first = mpm::wait_any(&jobs).unwrap();
    assert_eq!(jobs.swap_remove(first).wait().unwrap().0, 100 * MB as u64);
    let taken_back: Vec<_> = jobs.iter().map(mpm::JobHandle::cancel).collect();
    pool.kill();
    for (job, taken_back) in jobs.into_iter().zip(taken_back) {
        match job.wait() {
            Ok(_) => assert!(!taken_back),
            Err(JobError::Cancelled(_)) => {}
            Err(other) => panic!("{other}"),
        }
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

#[mpm::test]
fn f98_an_error_arrives_though_its_worker_ends_right_after_it() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for length in [5, 5, 200_000, 5] {
            let error = pool.run(fails_and_ends::job(process::id(), length)).unwrap().unwrap_err();
            assert_eq!(error.text.len(), length);
        }
    }
}

#[worker]
fn speaks(text: &str) -> u32 {
    println!("{text}");
    eprintln!("{text}");
    process::id()
}

#[mpm::test]
fn f101_workers_start_and_speak_while_a_thread_holds_the_locks_of_the_parents_output() {
    let _guard = watchdog();
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    for workers in worker_counts() {
        let pool = pool_of(workers);
        assert!(pool.map::<speaks>(["spoken"; 10]).all(|outcome| outcome.is_ok()));
    }
    stdout.flush().unwrap();
    stderr.flush().unwrap();
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
            pool_of(1).run(double::job(1)).unwrap()
        });
        u64::deserialize(deserializer).map(|n| Self(n * factor))
    }
}

#[worker]
fn gives_set_up(n: u64) -> SetsUp {
    SetsUp(n)
}

#[mpm::test]
fn f102_decoding_a_result_sets_up_while_other_threads_start_workers() {
    let _guard = watchdog();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let pool = pool_of(2);
                for (n, value) in pool.map::<gives_set_up>(0..20).enumerate() {
                    assert_eq!(value.unwrap().0, 2 * n as u64);
                }
            });
        }
    });
}

#[worker]
fn uses_a_pool_of_its_own(n: u64) -> u64 {
    pool_of(1).run(double::job(n)).unwrap()
}

#[mpm::test]
fn f100_a_job_that_waits_for_another_job() {
    let _guard = watchdog();
    alone("f100_a_job_that_waits_for_another_job", || {
        // A job cannot reach the pool that runs it; one of its own has workers of its own, so nothing waits for itself.
        let pool = pool_of(1);
        let values: Result<Vec<u64>, _> = pool.map::<uses_a_pool_of_its_own>(0..5).collect();
        assert_eq!(values.unwrap(), [0, 2, 4, 6, 8]);
        assert!(pool.run(pid::job()).is_ok());
        drop(pool);
        assert_eq!(children_of(process::id()), []);
    });
}
