//! Short jobs of a `map` travel several in a request. What is promised of each job holds for every one of them: a death costs the
//! one that ran, nothing runs twice, nothing waits behind a long one while a worker is idle.
//!
//! Jobs are short to begin with, so that they travel together when it matters.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mpm::{DidRun, JobError, Phase, Pool, worker};
use mpm_tests::{Gate, wait_at, wait_until, watchdog};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Inputs that make sure that jobs travel together.
const WARM: u32 = 3_000;

/// What a job does besides making its mark.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Deed {
    Nothing,
    Exit,
    Abort,
    Panic,
}

/// Appends the number to the file and gives it back. The file stays open in the worker: jobs are to be short.
#[worker]
fn item(marks: &Path, number: u32, deed: Deed) -> u32 {
    mark(marks, number);
    match deed {
        Deed::Nothing => number,
        Deed::Exit => std::process::exit(7),
        Deed::Abort => std::process::abort(),
        Deed::Panic => panic!("number {number}"),
    }
}

/// One small write to a file opened for appending is one line, whoever writes beside.
fn mark(marks: &Path, number: u32) {
    static FILE: OnceLock<File> = OnceLock::new();
    let mut file = FILE.get_or_init(|| OpenOptions::new().append(true).create(true).open(marks).unwrap());
    file.write_all(format!("{number}\n").as_bytes()).unwrap();
}

/// How often each number ran.
fn runs(marks: &Path) -> HashMap<u32, u32> {
    let mut runs = HashMap::new();
    for line in fs::read_to_string(marks).unwrap().lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    runs
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let marks = folder.path().join("marks");
    fs::write(&marks, "").unwrap();
    (folder, marks)
}

/// The step, and what becomes of the one job.
const STEPS: [(&str, Option<Phase>); 9] = [
    ("item-claimed", Some(Phase::Claimed)),
    ("item-decoding", Some(Phase::Decoding)),
    ("item-running", Some(Phase::Running)),
    ("item-encoding", Some(Phase::Encoding)),
    ("item-sending", Some(Phase::Sending)),
    ("item-written", Some(Phase::Sending)),
    ("item-published", None),
    ("item-rung", None),
    ("item-answered", None),
];

#[mpm::test]
fn a_worker_killed_at_any_step_of_a_job_among_others_costs_that_job_alone() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        for (step, phase) in STEPS {
            dies_at(step, phase, workers);
        }
    }
}

fn dies_at(step: &str, phase: Option<Phase>, workers: usize) {
    let (folder, marks) = folder();
    let latch = folder.path().join("latch");
    let pool = Pool::builder().workers(workers).env("MPM_FAULT", format!("{step}:{}", latch.display())).build().unwrap();
    let mut count = 0;
    // On a machine under load jobs may be too slow to travel together for a while: until one of them has.
    let inputs = (0..).take_while(|n| *n < WARM + 2_000 || latch.exists()).map(|n| {
        if n == WARM {
            fs::write(&latch, "").unwrap();
        }
        (marks.as_path(), n, Deed::Nothing)
    });
    let mut deaths = Vec::new();
    for (outcome, n) in pool.map::<item>(inputs).zip(0..) {
        match outcome {
            Ok(number) => assert_eq!(number, n, "{step}"),
            Err(JobError::Died(death)) => deaths.push((n, death)),
            Err(other) => panic!("{step}: {other}"),
        }
        count += 1;
    }
    pool.join();
    let runs = runs(&marks);
    assert_eq!(deaths.len(), usize::from(phase.is_some()), "{step}: {deaths:?}");
    for n in 0..count {
        let expected = match deaths.first() {
            Some((dead, death)) if *dead == n => {
                assert_eq!(Some(death.phase), phase, "{step}: {death}");
                assert_eq!(death.did_run, death.phase.did_run(), "{death}");
                // Killed by us as it entered its code: it cannot have made its mark.
                u32::from(death.did_run == DidRun::Yes)
            }
            _ => 1,
        };
        assert_eq!(runs.get(&n).copied().unwrap_or(0), expected, "{step}: how often {n} ran");
    }
}

#[mpm::test]
fn a_job_that_ends_its_worker_or_panics_fails_alone() {
    let _watchdog = watchdog();
    let (_folder, marks) = folder();
    let deed = |n: u32| match n {
        4_000 | 4_001 => Deed::Exit,
        4_500 => Deed::Abort,
        5_000 | 5_003 | 5_004 => Deed::Panic,
        _ => Deed::Nothing,
    };
    let pool = Pool::builder().workers(2).build().unwrap();
    let inputs = (0..8_000).map(|n| (marks.as_path(), n, deed(n)));
    let mut ids = std::collections::HashSet::new();
    for (outcome, n) in pool.map::<item>(inputs).zip(0..) {
        match (outcome, deed(n)) {
            (Ok(number), Deed::Nothing) => assert_eq!(number, n),
            (Err(JobError::Died(death)), Deed::Exit) => {
                assert_eq!((death.how.code(), death.phase, death.target), (Some(7), Phase::Running, "map_chunks::item"), "{death}");
                assert!(ids.insert(death.job), "{death}");
            }
            (Err(JobError::Died(death)), Deed::Abort) => {
                assert_eq!(death.how.signal(), Some(6), "{death}");
                assert!(ids.insert(death.job), "{death}");
            }
            (Err(JobError::Panicked(panic)), Deed::Panic) => {
                assert_eq!(panic.message, format!("number {n}"));
                assert!(panic.location.is_some() && ids.insert(panic.job), "{panic}");
            }
            (outcome, deed) => panic!("{n}: {deed:?} ended as {outcome:?}"),
        }
    }
    // The first job of a pool has id 1, and all of them are in order.
    let expected: std::collections::HashSet<u64> =
        (0..8_000).filter(|n| deed(*n) != Deed::Nothing).map(|n| u64::from(n) + 1).collect();
    assert_eq!(ids, expected);
    pool.join();
    let runs = runs(&marks);
    assert!((0..8_000).all(|n| runs.get(&n) == Some(&1)), "each ran once");
}

/// Waits at the gate if there is one.
#[worker]
fn maybe_wait(marks: &Path, number: u32, gate: &str) -> u32 {
    mark(marks, number);
    if !gate.is_empty() {
        wait_at(gate);
    }
    number
}

#[mpm::test]
fn what_is_before_a_long_job_is_delivered_and_what_is_behind_it_runs_elsewhere() {
    let _watchdog = watchdog();
    const LONG: u32 = WARM + 500;
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(2).build().unwrap();
    let taken = Cell::new(0);
    let inputs = (0..2 * LONG).inspect(|_| taken.set(taken.get() + 1));
    let inputs = inputs.map(|n| (marks.as_path(), n, if n == LONG { path.as_str() } else { "" }));
    let mut outcomes = pool.map::<maybe_wait>(inputs);
    for n in 0..LONG {
        assert_eq!(outcomes.next().unwrap().unwrap(), n);
    }
    gate.wait_for(1);
    wait_until("all others that were taken have run", || runs(&marks).len() == taken.get());
    assert!(taken.get() > LONG as usize + 1, "nothing was behind it");
    gate.open();
    for n in LONG..2 * LONG {
        assert_eq!(outcomes.next().unwrap().unwrap(), n);
    }
    assert!(outcomes.next().is_none());
}

#[worker]
fn nothing() {}

/// One thread waits for a job behind the chunk, another for the next outcomes of it: whoever looks, both get what is there.
#[mpm::test]
fn outcomes_are_delivered_while_another_thread_waits_at_the_same_worker() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    for _ in 0..5 {
        let (folder, marks) = folder();
        let gates = ["first", "second"].map(|name| Gate::new(folder.path(), name));
        let paths = gates.each_ref().map(Gate::path);
        let gate_of = |n| match n {
            WARM => paths[0].as_str(),
            n if n == WARM + 2 => paths[1].as_str(),
            _ => "",
        };
        let mut outcomes = pool.map::<maybe_wait>((0..WARM + 100).map(|n| (marks.as_path(), n, gate_of(n))));
        for n in 0..WARM {
            assert_eq!(outcomes.next().unwrap().unwrap(), n);
        }
        gates[0].wait_for(1);
        std::thread::scope(|scope| {
            let behind = scope.spawn(|| pool.run(nothing::job()));
            scope.spawn(|| gates[0].open());
            assert_eq!(outcomes.next().unwrap().unwrap(), WARM);
            assert_eq!(outcomes.next().unwrap().unwrap(), WARM + 1, "the next one is at a closed gate");
            gates[1].open();
            behind.join().unwrap().unwrap();
        });
        assert_eq!(outcomes.map(Result::unwrap).count(), 98);
    }
}

#[mpm::test]
fn a_map_that_is_dropped_takes_back_what_has_not_started_of_what_travels_together() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(1).build().unwrap();
    let taken = Cell::new(0);
    let inputs = (0..).inspect(|_| taken.set(taken.get() + 1));
    let inputs = inputs.map(|n| (marks.as_path(), n, if n == WARM { path.as_str() } else { "" }));
    let mut outcomes = pool.map::<maybe_wait>(inputs);
    for n in 0..WARM {
        assert_eq!(outcomes.next().unwrap().unwrap(), n);
    }
    gate.wait_for(1);
    drop(outcomes);
    gate.open();
    pool.join();
    assert!(taken.get() > WARM as usize + 1, "nothing was behind it");
    assert_eq!(runs(&marks).len(), WARM as usize + 1);
}

#[mpm::test]
fn shutdown_takes_back_what_has_not_started_of_what_travels_together() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(1).build().unwrap();
    let inputs = (0..).map(|n| (marks.as_path(), n, if n == WARM { path.as_str() } else { "" }));
    let mut outcomes = pool.map::<maybe_wait>(inputs);
    for n in 0..WARM {
        assert_eq!(outcomes.next().unwrap().unwrap(), n);
    }
    gate.wait_for(1);
    pool.kill();
    assert_eq!(runs(&marks).len(), WARM as usize + 1);
    let cancelled = outcomes.by_ref().take_while(|outcome| matches!(outcome, Err(JobError::Cancelled(_)))).count();
    assert!(cancelled > 1, "{cancelled}");
}
