//! Constructors that fail, panic or die: the job's error says so, the worker goes on or is replaced, and nothing is tried for ever.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use mpm::{DidRun, JobError, NotBuilt, Phase, Pool, StartMethod, worker};
use mpm_tests::{alone_with_one_thread, kill, process_gone, wait_until, watchdog};
use serde::{Deserialize, Serialize};

use crate::witness::{Diary, Witness, note};

#[derive(Debug)]
struct LoadError(io::Error);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("load the model")
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// An object that can be built when a file is there.
struct Model(String);

#[worker]
impl Model {
    fn new(diary: &Path, file: &Path) -> Result<Self, LoadError> {
        note(diary, "tried");
        fs::read_to_string(file).map(Model).map_err(LoadError)
    }

    fn text(&self) -> String {
        self.0.clone()
    }

    fn fail(&mut self) {
        panic!("on purpose");
    }
}

#[track_caller]
fn not_built<T: fmt::Debug>(outcome: Result<T, JobError>) -> NotBuilt {
    match outcome {
        Err(JobError::NotBuilt(report)) => *report,
        other => panic!("not the expected end: {other:?}"),
    }
}

#[mpm::test]
fn an_error_is_told_with_its_sources_and_tried_three_times() {
    alone_with_one_thread("builds::an_error_is_told_with_its_sources_and_tried_three_times", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let file = diary.path("model");
            let pool = Pool::builder().name("load").workers(1).start(method).build().unwrap();
            let model = Model::remote(&diary.file(), &file);
            let healthy = Witness::remote(&diary.path("other"), "healthy");
            let mut pid = 0;
            for tries in 1..=6 {
                let error = pool.run(model.text()).unwrap_err();
                assert!(error.is_not_built() && !error.is_died() && !error.is_panicked());
                let text = error.to_string();
                let report = not_built::<()>(Err(error));
                let builds = tries.min(3);
                assert_eq!((report.builds, report.gave_up, report.panicked), (builds, builds == 3, false), "{method}");
                assert_eq!(report.reason, "load the model: No such file or directory (os error 2)");
                assert_eq!((report.object.as_str(), report.target), ("objects::builds::Model", "objects::builds::Model::text"));
                assert_eq!((report.worker.as_str(), report.attempt, report.location), ("load-0", 1, None));
                assert!(report.job > 0 && report.pid > 0);
                let start = format!(
                    "job {} (`objects::builds::Model::text`) did not run: the constructor of `objects::builds::Model` failed in \
                     worker load-0 (pid {}): load the model: No such file or directory (os error 2)",
                    report.job, report.pid
                );
                let end =
                    if builds == 3 { "; it has failed there 3 times in a row, and this worker does not try again" } else { "" };
                assert_eq!(text, start + end);
                pid = report.pid;
                // Others are not touched by that.
                assert_eq!(pool.run(healthy.call()).unwrap(), (pid, tries));
            }
            assert_eq!(diary.count("tried"), 3, "{method}");
            // Not even when it would work by now.
            fs::write(&file, "weights").unwrap();
            assert!(not_built(pool.run(model.text())).gave_up);
            // Another object of the type has its own three, and another worker tries.
            assert_eq!(pool.run(Model::remote(&diary.file(), &file).text()).unwrap(), "weights");
            kill(pid, libc::SIGKILL);
            wait_until("the worker is gone", || process_gone(pid));
            assert_eq!(pool.run(model.text()).unwrap(), "weights");
        }
    });
}

#[mpm::test]
fn a_success_forgets_the_failures() {
    let _guard = watchdog();
    let diary = Diary::new();
    let file = diary.path("model");
    let pool = Pool::builder().workers(1).build().unwrap();
    let model = Model::remote(&diary.file(), &file);
    for _ in 0..3 {
        (1..=2).for_each(|tries| assert_eq!(not_built(pool.run(model.text())).builds, tries));
        fs::write(&file, "weights").unwrap();
        assert_eq!(pool.run(model.text()).unwrap(), "weights");
        // Gone with a panic, it has to be built anew.
        assert!(pool.run(model.fail()).unwrap_err().is_panicked());
        fs::remove_file(&file).unwrap();
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Way {
    Panics,
    Throws,
    FailsUnprintably,
    Dies,
    Exits,
}

/// An error that cannot be printed.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words for it");
    }
}

/// An object that is never there.
struct Doomed;

#[worker(name = "doomed")]
impl Doomed {
    fn new(way: Way) -> Result<Self, Unprintable> {
        match way {
            Way::Panics => panic!("no weights today"),
            Way::Throws => std::panic::resume_unwind(Box::new("thrown")),
            Way::FailsUnprintably => {}
            Way::Dies => mpm_tests::raise(libc::SIGKILL),
            Way::Exits => std::process::exit(7),
        }
        Err(Unprintable)
    }

    fn call(&self) {}
}

#[mpm::test]
fn a_panic_is_told_with_its_place() {
    alone_with_one_thread("builds::a_panic_is_told_with_its_place", || {
        for method in StartMethod::ALL {
            let pool = Pool::builder().workers(1).env("RUST_BACKTRACE", "0").start(method).build().unwrap();
            let mut pids = Vec::new();
            for (way, message, has_place) in [
                (Way::Panics, "no weights today", true),
                (Way::Throws, "thrown", false),
                (Way::FailsUnprintably, "no words for it", true),
            ] {
                let doomed = Doomed::remote(way);
                for tries in 1..=4 {
                    let report = not_built(pool.run(doomed.call()));
                    assert!(report.panicked && report.backtrace.is_none());
                    assert_eq!((report.reason.as_str(), report.builds), (message, tries.min(3)), "{method}");
                    assert_eq!((report.object.as_str(), report.target), ("doomed", "doomed::call"));
                    let is_here = report.location.as_deref().is_some_and(|place| place.contains("builds.rs:"));
                    assert_eq!(is_here, has_place, "{:?}", report.location);
                    let text = report.to_string();
                    assert!(text.contains("the constructor of `doomed` panicked") && text.contains(message), "{text}");
                    pids.push(report.pid);
                }
            }
            pids.dedup();
            assert_eq!(pids.len(), 1, "{method}: the worker goes on");
        }
    });
}

#[mpm::test]
fn a_backtrace_comes_along() {
    let _guard = watchdog();
    let pool = Pool::builder().workers(1).env("RUST_BACKTRACE", "1").build().unwrap();
    let report = not_built(pool.run(Doomed::remote(Way::Panics).call()));
    assert!(report.backtrace.as_deref().is_some_and(|text| text.contains("Doomed")), "{:?}", report.backtrace);
    assert!(format!("{report:#}").contains("backtrace in the worker"));
}

#[mpm::test]
fn a_death_in_a_constructor_is_one_before_the_job() {
    alone_with_one_thread("builds::a_death_in_a_constructor_is_one_before_the_job", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = Pool::builder().workers(1).start(method).build().unwrap();
            let witness = Witness::remote(&diary.file(), "w");
            for way in [Way::Dies, Way::Exits] {
                let doomed = Doomed::remote(way);
                // Behind it waits one that has nothing to do with it.
                let handles = (pool.submit(doomed.call()).unwrap(), pool.submit(witness.call()).unwrap());
                let JobError::Died(death) = handles.0.wait().unwrap_err() else { panic!("it did not die") };
                assert_eq!((death.phase, death.did_run), (Phase::Building, DidRun::No), "{method}: {death}");
                assert!(death.to_string().contains(" while building the object for job "), "{death}");
                assert!(death.to_string().contains("; the job did not run"), "{death}");
                assert_eq!(handles.1.wait().unwrap().1, 1);
            }
        }
    });
}

/// An object that costs nothing, so that its jobs travel together.
struct Cheap(u32);

#[worker]
impl Cheap {
    fn new(start: u32) -> Self {
        Cheap(start)
    }

    fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// Kills a worker just before a constructor is called, alone and in a chunk.
#[mpm::test]
fn killed_at_the_step() {
    let _guard = watchdog();
    for step in ["building", "item-building"] {
        let diary = Diary::new();
        let latch = diary.path("latch");
        fs::write(&latch, "").unwrap();
        let pool = Pool::builder().workers(1).objects(1).env("MPM_FAULT", format!("{step}:{}", latch.display())).build().unwrap();
        let both = [Cheap::remote(10), Cheap::remote(20)];
        let mut deaths = Vec::new();
        // On a busy machine it may take a while until jobs look short enough to travel together.
        while latch.exists() {
            for (n, outcome) in pool.map_jobs((0..1000).map(|n| both[n % 2].count())).enumerate() {
                match outcome {
                    Ok(count) => assert_eq!(count, 11 + 10 * (n as u32 % 2), "{step}: not built anew"),
                    Err(JobError::Died(death)) => deaths.push(death),
                    Err(other) => panic!("{step}: {other}"),
                }
            }
        }
        let [death] = &deaths[..] else { panic!("{step}: {deaths:?}") };
        assert_eq!((death.phase, death.did_run), (Phase::Building, DidRun::No), "{step}: {death}");
    }
}

/// Failures among jobs that travel together.
#[mpm::test]
fn failures_in_a_chunk() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = Pool::builder().workers(1).build().unwrap();
    fs::write(diary.path("there"), "x").unwrap();
    let [good, bad] = ["there", "missing"].map(|name| Model::remote(&diary.file(), &diary.path(name)));
    let outcomes: Vec<_> = pool.map_jobs((0..2000).map(|n| if n % 10 == 3 { bad.text() } else { good.text() })).collect();
    let mut ids = Vec::new();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if n % 10 == 3 {
            ids.push(not_built(outcome).job);
        } else {
            assert_eq!(outcome.unwrap(), "x");
        }
    }
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(diary.count("tried"), 4);
}
