//! Behaviours, group D: what an error tells, and whom it concerns.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::panic::{panic_any, resume_unwind};
use std::thread;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{DataError, Failure, HowItEnded, JobError, JobHandle, Panicked, Phase, Pool, worker};
use mpm_tests::{Gate, watchdog};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

fn panicked<R: std::fmt::Debug>(outcome: Result<R, JobError>) -> Panicked {
    match outcome {
        Err(JobError::Panicked(panic)) => *panic,
        other => panic!("{other:?}"),
    }
}

/// How to panic.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Panic {
    Str,
    String,
    Number,
    PanicsInDrop(u8),
    Quietly,
    CaughtBefore,
    Big,
    Empty,
}

/// A payload whose drop panics, with a payload of the same kind, this many times.
struct Grenade(u8);

impl Drop for Grenade {
    fn drop(&mut self) {
        match self.0 {
            0 => panic!("the last payload"),
            left => panic_any(Grenade(left - 1)),
        }
    }
}

const LINE_OF_STR: u32 = line!() + 4;
#[worker]
fn panics(how: Panic) -> u32 {
    match how {
        Panic::Str => panic!("a plain text"),
        Panic::String => panic!("a text about {}", 42),
        Panic::Number => panic_any(42_u64),
        Panic::PanicsInDrop(times) => panic_any(Grenade(times)),
        Panic::Quietly => resume_unwind(Box::new("without the hook")),
        Panic::CaughtBefore => {
            drop(std::panic::catch_unwind(|| panic!("this one is caught")));
            std::process::id()
        }
        Panic::Big => panic!("{}", "é".repeat(512 * 1024)),
        Panic::Empty => panic!(""),
    }
}

#[mpm::test]
fn d65_fidelity() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().name("exact").workers(workers).build().unwrap();
        let job = pool.submit(panics::job(Panic::Str)).unwrap();
        mpm::wait_all(std::slice::from_ref(&job));
        let (id, report) = (job.id(), job.report());
        let panic = panicked(job.wait());
        assert_eq!(panic.message, "a plain text");
        let place = panic.location.as_deref().unwrap_or_default();
        assert!(place.starts_with(&format!("{}:{LINE_OF_STR}:", file!())), "{place}, line {LINE_OF_STR}");
        assert_eq!((panic.target, panic.job, panic.attempt), (panics::NAME, id, 1));
        assert_eq!((Some(panic.worker.clone()), Some(panic.pid)), (report.worker, report.pid));
        assert!(panic.worker.starts_with("exact-"), "{}", panic.worker);
        let shown = JobError::Panicked(Box::new(panic.clone())).to_string();
        for part in ["a plain text", place, panics::NAME, &panic.worker, &panic.pid.to_string()] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
    }
}

#[mpm::test]
fn d65_the_backtrace_names_the_target_and_can_be_switched_off() {
    let _guard = watchdog();
    let with = Pool::builder().workers(1).env("RUST_BACKTRACE", "1").build().unwrap();
    let error = with.run(panics::job(Panic::String)).unwrap_err();
    assert!(error.to_string().contains("behaviours_d::panics"), "{error}");
    let panic = panicked(Err::<(), _>(error));
    assert_eq!(panic.message, "a text about 42");
    assert!(panic.backtrace.is_some_and(|text| text.contains("behaviours_d::panics")));
    let without = Pool::builder().workers(1).env("RUST_BACKTRACE", "0").build().unwrap();
    assert_eq!(panicked(without.run(panics::job(Panic::Str))).backtrace, None);
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the order cannot be read")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[worker]
fn fails(number: &str) -> Result<u32, Failure> {
    Ok(number.parse().map_err(Outer)?)
}

#[mpm::test]
fn d66_the_chain_of_causes_is_kept() {
    let _guard = watchdog();
    let pool = pool_of(1);
    assert_eq!(pool.run(fails::job("7")).unwrap(), Ok(7));
    let failure = pool.run(fails::job("seven")).unwrap().unwrap_err();
    assert_eq!(failure.chain().collect::<Vec<_>>(), ["the order cannot be read", "invalid digit found in string"]);
}

#[mpm::test]
fn d67_an_error_of_its_own_for_every_handle() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).cwd("/no/such/folder").build().unwrap();
        let jobs: Vec<_> = (0..3).filter_map(|_| pool.submit(pid::job()).ok()).collect();
        for job in jobs {
            let error = job.wait().unwrap_err();
            assert!(matches!(&error, JobError::PoolFailed(reason) if reason.contains("/no/such/folder")), "{error}");
        }
        let running: Vec<JobHandle<()>> = {
            let pool = pool_of(workers);
            (0..3)
                .map(|_| pool.submit(die::job(Way::Exit(9))).unwrap())
                .inspect(|job| mpm::wait_all(std::slice::from_ref(job)))
                .collect()
        };
        let deaths: Vec<_> = running
            .into_iter()
            .map(|job| {
                let id = job.id();
                let error = job.wait().unwrap_err();
                let death = error.death().unwrap();
                assert_eq!(death.job, id);
                death.pid
            })
            .collect();
        assert_eq!(deaths.iter().collect::<BTreeSet<_>>().len(), 3, "three deaths are three processes");
    }
}

#[mpm::test]
fn d69_odd_panics() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let before = pool.run(pid::job()).unwrap();
        for (how, message, has_place) in [
            (Panic::Number, "a panic whose payload is not a string", true),
            (Panic::PanicsInDrop(0), "a panic whose payload is not a string", true),
            (Panic::PanicsInDrop(1), "a panic whose payload is not a string", true),
            (Panic::PanicsInDrop(5), "a panic whose payload is not a string", true),
            (Panic::Empty, "", true),
            (Panic::Quietly, "without the hook", false),
        ] {
            let panic = panicked(pool.run(panics::job(how)));
            assert_eq!(panic.message, message, "{how:?}");
            assert_eq!(panic.location.is_some(), has_place, "{how:?}: {:?}", panic.location);
            assert_eq!(pool.run(pid::job()).unwrap(), before, "{how:?}: the same worker goes on");
        }
    }
}

#[mpm::test]
fn d69_the_place_of_an_earlier_panic_is_not_told_for_a_later_one() {
    let _guard = watchdog();
    let pool = pool_of(1);
    pool.run(panics::job(Panic::CaughtBefore)).unwrap();
    let panic = panicked(pool.run(panics::job(Panic::Quietly)));
    assert_eq!((panic.message.as_str(), panic.location, panic.backtrace), ("without the hook", None, None));
}

#[worker]
fn panics_on_a_thread() -> bool {
    thread::spawn(|| panic!("on a thread of the job's own")).join().is_err()
}

#[mpm::test]
fn d69_a_panic_on_a_thread_of_the_job_is_the_jobs_own_affair() {
    let _guard = watchdog();
    assert!(pool_of(1).run(panics_on_a_thread::job()).unwrap());
}

#[mpm::test]
fn d70_isolation() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let worker = pool.run(pid::job()).unwrap();
    for _ in 0..20 {
        assert_eq!(panicked(pool.run(panics::job(Panic::Str))).pid, worker);
        assert_eq!(pool.run(pid::job()).unwrap(), worker);
    }
}

#[mpm::test]
fn d71_big_errors() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let jobs: Vec<_> = (0..2 * workers).map(|_| pool.submit(panics::job(Panic::Big)).unwrap()).collect();
        pool.join();
        for job in jobs {
            let panic = panicked(job.wait());
            assert_eq!(panic.message.len(), 1024 * 1024);
            assert!(panic.message.chars().all(|c| c == 'é'));
        }
    }
}

#[mpm::test]
fn d72_the_neighbour_is_untouched() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for (round, way) in [None, Some(Way::Kill), Some(Way::Segfault)].into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{round}"));
        let path = gate.path();
        let pool = pool_of(2);
        let neighbour = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        match way {
            None => assert!(pool.run(panics::job(Panic::Str)).unwrap_err().is_panicked()),
            Some(way) => assert!(pool.run(die::job(way)).unwrap_err().is_died()),
        }
        assert!(!neighbour.is_finished());
        gate.open();
        neighbour.wait().unwrap();
    }
}

/// What one side does with a value.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Error,
    Panic,
}

/// A result that makes trouble while it is encoded, in the worker.
struct BadResult(Trouble);

impl Serialize for BadResult {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Trouble::Error => Err(serde::ser::Error::custom("not this result")),
            Trouble::Panic => panic!("encoding a result"),
        }
    }
}

impl<'de> Deserialize<'de> for BadResult {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        unreachable!("it is never encoded")
    }
}

#[worker]
fn bad_result(panic: bool) -> BadResult {
    BadResult(if panic { Trouble::Panic } else { Trouble::Error })
}

/// A value that makes trouble while it is decoded: an argument in the worker, a result in the calling process.
struct Unreadable(bool);

impl Serialize for Unreadable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            panic!("decoding a value");
        }
        Err(serde::de::Error::custom("not this value"))
    }
}

#[worker]
fn takes_unreadable(value: Unreadable) -> bool {
    value.0
}

#[worker]
fn gives_unreadable(panic: bool) -> Unreadable {
    Unreadable(panic)
}

#[mpm::test]
fn d73_twenty_results_in_a_row_that_cannot_be_encoded() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let worker = pool.run(pid::job()).unwrap();
        for _ in 0..20 {
            let job = pool.submit(bad_result::job(false)).unwrap();
            let id = job.id();
            let outcome = job.wait();
            let Err(JobError::Encode(error)) = &outcome else { panic!("{:?}", outcome.err()) };
            assert_eq!((error.job, error.target, error.in_worker), (id, bad_result::NAME, true));
            assert!(error.reason.contains("BadResult"), "{}", error.reason);
        }
        assert_eq!(pool.run(pid::job()).unwrap(), worker, "no worker was lost");
    }
}

#[mpm::test]
fn d73_values_that_cannot_be_read_or_panic_on_the_way() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let worker = pool.run(pid::job()).unwrap();
        let data = |error: DataError, target: &str, in_worker: bool, part: &str| {
            assert_eq!((error.target, error.in_worker), (target, in_worker));
            assert!(error.reason.contains(part), "{part}: {}", error.reason);
        };
        // A result: in the calling process.
        match pool.run(gives_unreadable::job(false)).map(drop) {
            Err(JobError::Decode(error)) => data(*error, gives_unreadable::NAME, false, "Unreadable"),
            other => panic!("{other:?}"),
        }
        match pool.run(gives_unreadable::job(true)).map(drop) {
            Err(JobError::Decode(error)) => data(*error, gives_unreadable::NAME, false, "decoding a value"),
            other => panic!("{other:?}"),
        }
        // An argument: in the worker.
        match pool.run(takes_unreadable::job(Unreadable(false))) {
            Err(JobError::Decode(error)) => data(*error, takes_unreadable::NAME, true, "Unreadable"),
            other => panic!("{other:?}"),
        }
        // A panic in the worker is a panic, wherever it comes from.
        assert_eq!(panicked(pool.run(takes_unreadable::job(Unreadable(true)))).message, "decoding a value");
        assert_eq!(panicked(pool.run(bad_result::job(true)).map(drop)).message, "encoding a result");
        assert_eq!(pool.run(pid::job()).unwrap(), worker, "no worker was lost");
    }
}

#[worker]
fn speaks_then_dies(way: Way) {
    eprintln!("the line before");
    way.go();
}

#[mpm::test]
fn d74_death_report() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().name("mortal").workers(workers).build().unwrap();
        let job = pool.submit(speaks_then_dies::job(Way::Segfault)).unwrap();
        let id = job.id();
        mpm::wait_all(std::slice::from_ref(&job));
        let report = job.report();
        let error = job.wait().unwrap_err();
        let text = error.to_string();
        let death = error.death().unwrap();
        assert!(
            matches!(&death.how, HowItEnded::Signal { number: libc::SIGSEGV, name, .. } if name == "SIGSEGV"),
            "{:?}",
            death.how
        );
        assert_eq!((death.phase, death.did_run), (Phase::Running, mpm::DidRun::Maybe));
        assert_eq!((death.target, death.job, death.attempt), (speaks_then_dies::NAME, id, 1));
        assert_eq!((Some(death.worker.clone()), Some(death.pid)), (report.worker, report.pid));
        assert!(!death.elapsed.is_zero(), "{death:?}");
        assert_eq!(death.stderr, ["the line before", "about to die: Segfault"]);
        assert_eq!(death.out_of_memory, Some(false));
        for part in ["SIGSEGV", &death.pid.to_string(), &death.worker, speaks_then_dies::NAME, "the line before"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let outer = mpm::Error::from(error);
        assert!(outer.is_job() && outer.job().is_some_and(JobError::is_died) && outer.to_string().contains("SIGSEGV"));
        assert_eq!(pool.run(double::job(2)).unwrap(), 4);
    }
}
