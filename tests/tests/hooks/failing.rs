//! Jobs before and after those of the pool that fail, panic, die, or take too long.

use std::fmt;
use std::fs;
use std::process;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use mpm::{Event, EventKind, JobError, Pool, StartMethod, worker};
use mpm_tests::{Log, children_of, wait_until};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{double, listening, patient, pid};

conform!(
    e86_init_fails,
    e86_init_fails_at_first,
    an_error_of_what_runs_first_may_use_the_pool,
    e87_on_start_times_out_by_itself,
    e87_on_stop_times_out_by_itself,
    e88_exit_hook_fails,
    e88_exit_hook_dies,
    j140_submit_from_what_runs_at_the_end,
    what_no_worker_says_at_its_end,
);

#[worker]
fn fails() -> Result<(), String> {
    eprintln!("looking for the database");
    Err("no database".to_owned())
}

#[worker]
fn panics() {
    panic!("no luck");
}

#[worker]
fn dies(signal: i32) {
    mpm_tests::raise(signal);
}

#[worker]
fn hangs() {
    loop {
        thread::park();
    }
}

/// Sleeps as its work.
#[worker]
fn takes(millis: u64) {
    thread::sleep(Duration::from_millis(millis)); // the job's own work
}

fn failed_starts(log: &Log<Event>) -> Vec<(String, bool)> {
    let reasons = log.take().into_iter().filter_map(|event| match event.kind {
        EventKind::StartFailed { reason, retry_in, .. } => Some((reason.to_string(), retry_in.is_some())),
        _ => None,
    });
    reasons.collect()
}

fn e86_init_fails(method: StartMethod) {
    // Each way to fail, and what is said of it.
    type Set = fn(mpm::Builder) -> mpm::Builder;
    let ways: [(Set, &[&str]); 4] = [
        (|b| b.on_start(fails::job()), &["on_start job `hooks::failing::fails`", "no database"]),
        (|b| b.on_start(panics::job()), &["on_start job `hooks::failing::panics`", "no luck", "failing.rs"]),
        (|b| b.on_start(dies::job(libc::SIGKILL)), &["on_start job `hooks::failing::dies`", "SIGKILL"]),
        (|b| b.on_start(hangs::job()).on_start_timeout(Duration::from_millis(50)), &["hooks::failing::hangs", "50ms"]),
    ];
    for (set, parts) in ways {
        let (builder, log) = listening(method, 1);
        let pool = set(builder).build().unwrap();
        // On a slow machine it has failed already.
        let error = match pool.submit(double::job(1)) {
            Ok(waiting) => waiting.wait().unwrap_err(),
            Err(refused) => refused.into(),
        };
        assert!(matches!(error, JobError::PoolFailed(_)), "{method}: {error:?}");
        let refused = pool.submit(double::job(1)).unwrap_err();
        assert!(refused.is_failed(), "{method}: {refused}");
        pool.join();
        // The template of a copy goes a moment later.
        wait_until("nobody is left", || children_of(process::id()).is_empty());
        let failures = failed_starts(&log);
        assert!(!failures.last().unwrap().1, "{method}: the last one is not tried again: {failures:?}");
        for text in [error.to_string(), refused.to_string(), failures.last().unwrap().0.clone()] {
            parts.iter().for_each(|part| assert!(text.contains(part), "{method}: no {part:?} in: {text}"));
        }
        // What it said on standard error is told as well.
        let said = failures.iter().any(|(text, _)| text.contains("looking for the database"));
        assert_eq!(said, parts[1] == "no database", "{method}: {failures:?}");
    }
}

/// Fails twice, then goes well.
#[worker]
fn at_the_third_try(folder: &str) -> Result<(), String> {
    let tries = 1 + fs::read_dir(folder).unwrap().count();
    fs::write(format!("{folder}/{}", process::id()), "").unwrap();
    if tries < 3 { Err(format!("try {tries}")) } else { Ok(()) }
}

static POOL: OnceLock<Pool> = OnceLock::new();

/// An error that looks at the pool when it is read and printed, as a logger might.
#[derive(Debug, Serialize)]
struct Curious;

impl<'de> Deserialize<'de> for Curious {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        assert!(!POOL.wait().is_paused());
        Ok(Self)
    }
}

impl fmt::Display for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "curious: {}", POOL.wait().is_paused())
    }
}

#[worker]
fn fails_curiously() -> Result<(), Curious> {
    Err(Curious)
}

/// It was read under the pool's lock.
fn an_error_of_what_runs_first_may_use_the_pool(method: StartMethod) {
    assert!(POOL.set(patient(method, 2).on_start(fails_curiously::job()).build().unwrap()).is_ok());
    let error = POOL.wait().run(double::job(1)).unwrap_err().to_string();
    assert!(error.contains("on_start job") && error.contains("curious: false"), "{error}");
    POOL.wait().join();
}

fn e86_init_fails_at_first(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let (builder, log) = listening(method, 1);
    let pool = builder.on_start(at_the_third_try::job(folder.path().to_str().unwrap())).build().unwrap();
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    pool.join();
    let failures = failed_starts(&log);
    assert_eq!(failures.len(), 2, "{method}: {failures:?}");
    assert!(failures[0].0.contains("try 1") && failures[1].0.contains("try 2") && failures.iter().all(|(_, again)| *again));
}

fn e87_on_start_times_out_by_itself(method: StartMethod) {
    // Longer than a start may take, but not longer than the job may.
    let builder = patient(method, 1).start_timeout(Duration::from_secs(3));
    let pool = builder.on_start(takes::job(3_300)).on_start_timeout(Duration::from_secs(60)).build().unwrap();
    assert_eq!(pool.run(double::job(4)).unwrap(), 8, "{method}");
    let zero = Pool::builder().on_start_timeout(Duration::ZERO).build().unwrap_err();
    assert!(zero.is_setting() && zero.to_string().contains("on_start_timeout"), "{zero}");
}

fn e87_on_stop_times_out_by_itself(method: StartMethod) {
    let (builder, log) = listening(method, 1);
    let outcomes: Log<Result<(), JobError>> = Log::default();
    let taken = outcomes.clone();
    let builder = builder.grace(Duration::from_secs(3600)).on_stop_timeout(Duration::from_millis(50));
    let pool = builder.on_stop_with(hangs::job(), move |_, outcome| taken.add(outcome)).on_stop(takes::job(0)).build().unwrap();
    let worker = pool.run(pid::job()).unwrap();
    pool.join();
    let outcomes = outcomes.take();
    let [Err(JobError::Died(death))] = &outcomes[..] else { panic!("{method}: {outcomes:?}") };
    assert_eq!((death.pid, death.job, death.target), (worker, 0, hangs::NAME));
    assert!(death.ended_by_pool.is_some() && death.to_string().contains("SIGKILL"), "{death}");
    let told = log.take().into_iter().filter(|event| matches!(&event.kind, EventKind::StopJob { outcome: Err(_), .. }));
    assert_eq!(told.count(), 1, "{method}");
    // Longer than the grace, but not longer than the job may take.
    let (builder, log) = listening(method, 1);
    let builder = builder.grace(Duration::from_secs(4)).on_stop_timeout(Duration::from_secs(60));
    let pool = builder.on_stop(takes::job(4_300)).build().unwrap();
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    pool.join();
    let went_well = |event: &Event| matches!(&event.kind, EventKind::StopJob { outcome: Ok(()), .. });
    assert!(log.take().iter().any(went_well), "{method}");
    let zero = Pool::builder().on_stop_timeout(Duration::ZERO).build().unwrap_err();
    assert!(zero.is_setting() && zero.to_string().contains("on_stop_timeout"), "{zero}");
}

fn stop_jobs(log: &Log<Event>) -> Vec<(&'static str, Result<(), String>)> {
    let jobs = log.take().into_iter().filter_map(|event| match event.kind {
        EventKind::StopJob { target, outcome, .. } => Some((target, outcome.map_err(|reason| reason.to_string()))),
        _ => None,
    });
    jobs.collect()
}

#[worker]
fn is_fine() {}

fn e88_exit_hook_fails(method: StartMethod) {
    let (builder, log) = listening(method, 1);
    let builder = builder.on_stop(fails::job()).on_stop(panics::job()).on_stop(is_fine::job());
    let pool = builder.on_stop_with(pid::job(), |_, _| panic!("whoever takes the result")).build().unwrap();
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    pool.join();
    let jobs = stop_jobs(&log);
    let [(fails_name, Err(failed)), (panics_name, Err(panicked)), (fine_name, Ok(())), (pid_name, Err(taken))] = &jobs[..] else {
        panic!("{method}: {jobs:?}")
    };
    assert_eq!([*fails_name, panics_name, fine_name, pid_name], [fails::NAME, panics::NAME, is_fine::NAME, pid::NAME]);
    assert_eq!(failed, "no database");
    assert!(panicked.contains("no luck") && panicked.contains("failing.rs"), "{panicked}");
    assert!(taken.contains("whoever takes the result"), "{taken}");
}

fn e88_exit_hook_dies(method: StartMethod) {
    for (signal, workers) in [(libc::SIGKILL, 1), (libc::SIGABRT, 2)] {
        let (builder, log) = listening(method, workers);
        let pool = builder.on_stop(dies::job(signal)).on_stop(is_fine::job()).build().unwrap();
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
        wait_until("all workers are ready", || {
            let ready = |event: &&Event| matches!(event.kind, EventKind::WorkerReady { .. });
            log.peek(|events| events.iter().filter(ready).count() == workers)
        });
        pool.join();
        let jobs = stop_jobs(&log);
        assert_eq!(jobs.len(), workers, "{method}: what comes after a death does not run: {jobs:?}");
        let name = if signal == libc::SIGKILL { "SIGKILL" } else { "SIGABRT" };
        assert!(jobs.iter().all(|(target, end)| *target == dies::NAME && end.as_ref().unwrap_err().contains(name)), "{jobs:?}");
    }
}

/// What is handed in when a pool has ended is refused, wherever that is done.
fn j140_submit_from_what_runs_at_the_end(method: StartMethod) {
    let pool = std::sync::Arc::new(std::sync::OnceLock::<Pool>::new());
    let refusals: Log<bool> = Log::default();
    let (inner, refused) = (std::sync::Arc::clone(&pool), refusals.clone());
    let take = move |_: &str, _: Result<u32, JobError>| {
        // The handle may not be there yet: the worker ends by itself after its only job.
        if let Some(pool) = inner.get() {
            refused.add(pool.submit(double::job(1)).is_err_and(|refused| refused.is_closed()));
        }
    };
    let built = patient(method, 1).on_stop_with(pid::job(), take).build().unwrap();
    assert!(pool.set(built).is_ok());
    let there = pool.get().unwrap();
    assert_eq!(there.run(double::job(4)).unwrap(), 8);
    there.join();
    assert_eq!(refusals.take(), [true], "{method}");
}

#[worker]
fn speaks_out_of_turn(messages: Vec<Vec<u8>>) {
    messages.iter().for_each(|message| mpm_tests::send_on_all_sockets(message));
}

/// A job writes on its worker's control socket what may be taken for messages of that worker's end, and what may not.
fn what_no_worker_says_at_its_end(method: StartMethod) {
    let numbers = |n: u8| vec![n; 1 + usize::from(n) % 7];
    let begins = |index: u8| vec![4, index];
    let ended = |index: u8| vec![5, index, 1, 0, 0];
    let said: [Vec<Vec<u8>>; 7] = [
        vec![Vec::from("garbage, and more of it")],
        (0..40).map(numbers).collect(),
        vec![begins(0), ended(0)],
        vec![begins(0), ended(0), begins(1), ended(1)],
        vec![begins(9)],
        vec![ended(0)],
        vec![begins(0), begins(0)],
    ];
    for messages in said {
        let results: Log<bool> = Log::default();
        let (first, second) = (results.clone(), results.clone());
        let builder = patient(method, 1).on_stop_with(pid::job(), move |_, outcome| first.add(outcome.is_ok()));
        let pool = builder.on_stop_with(pid::job(), move |_, outcome| second.add(outcome.is_ok())).build().unwrap();
        pool.run(speaks_out_of_turn::job(messages)).unwrap();
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
        pool.join();
        assert!(results.len() <= 2, "{method}: each at most once");
        assert!(pool.submit(double::job(4)).unwrap_err().is_closed());
    }
}
