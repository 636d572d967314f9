//! Jobs before and after those of the pool that do as they shall.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use mpm::{EventKind, HowItEnded, StartMethod, worker};
use mpm_tests::{Gate, Log, process_gone};
use tempfile::TempDir;

use crate::{double, exit, listening, pass, patient, pid};

conform!(
    on_start_runs_in_each_worker_before_its_jobs,
    on_start_knows_its_worker,
    on_stop_gives_its_results,
    on_stop_may_return_much,
    on_stop_runs_once_in_each_worker_that_ends_by_itself,
    on_stop_does_not_run_in_a_worker_that_is_killed,
    on_stop_runs_after_the_last_job_of_a_grace,
    i125_hooks_per_incarnation,
);

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn notes() -> MutexGuard<'static, Vec<String>> {
    NOTES.lock().unwrap()
}

#[worker]
fn note(text: &str) {
    notes().push(text.to_owned());
}

/// What was noted in this worker.
#[worker]
fn noted() -> (u32, Vec<String>) {
    (std::process::id(), notes().clone())
}

fn on_start_runs_in_each_worker_before_its_jobs(method: StartMethod) {
    for max_jobs in [0, 1] {
        let builder = if max_jobs > 0 { patient(method, 2).max_jobs(max_jobs) } else { patient(method, 2) };
        let pool = builder.preload(note::job("p")).on_start(note::job("a")).on_start(note::job("b")).build().unwrap();
        for (_, notes) in pool.map_unordered::<noted>((0..10).map(|_| ())).map(|(_, outcome)| outcome.unwrap()) {
            assert_eq!(notes, ["p", "a", "b"], "{method}");
        }
    }
}

#[worker]
fn note_name() -> Result<(), String> {
    let me = mpm::current_process();
    notes().push(me.name().to_owned());
    // The parent is the one that built the pool, not a template.
    mpm::parent_process().filter(mpm::ParentProcess::is_alive).map(drop).ok_or_else(|| "it has no parent".to_owned())
}

fn on_start_knows_its_worker(method: StartMethod) {
    let pool = patient(method, 1).name("known").on_start(note_name::job()).build().unwrap();
    assert_eq!(pool.run(noted::job()).unwrap().1, ["known-0"], "{method}");
}

/// A list of what `on_stop` jobs have returned, with the names of the workers.
type Results<R> = Log<(String, R)>;

fn on_stop_gives_its_results(method: StartMethod) {
    let results: Results<(u32, Vec<String>)> = Log::default();
    let taken = results.clone();
    let builder = patient(method, 2).name("stops").on_start(note::job("begun"));
    let pool = builder.on_stop_with(noted::job(), move |worker, outcome| taken.add((worker.to_owned(), outcome.unwrap())));
    let pool = pool.build().unwrap();
    let ran: BTreeSet<u32> = (0..20).map(|_| pool.run(pid::job()).unwrap()).collect();
    (0..20).for_each(|_| pool.run(note::job("x")).unwrap());
    assert!(results.is_empty());
    pool.join();
    let results = results.take();
    let pids: BTreeSet<u32> = results.iter().map(|(_, (pid, _))| *pid).collect();
    assert!(ran.is_subset(&pids), "{method}: {ran:?} {results:?}");
    assert!(results.iter().all(|(worker, (_, notes))| worker.starts_with("stops-") && notes[0] == "begun"));
    assert_eq!(results.iter().map(|(_, (_, notes))| notes.iter().filter(|note| *note == "x").count()).sum::<usize>(), 20);
}

#[worker]
fn many_bytes(len: usize) -> String {
    "x".repeat(len)
}

fn on_stop_may_return_much(method: StartMethod) {
    // Too much for a message; too many for what a socket holds; and beside large results of jobs.
    let lengths = [5_000_000, 0, 16_000, 16_000, 16_000, 100_000, 16_000, 16_000, 16_000, 16_000, 16_000, 16_000, 16_000, 16_000];
    let results: Results<usize> = Log::default();
    let mut builder = patient(method, 2).max_jobs(2);
    for length in lengths {
        let taken = results.clone();
        let take = move |worker: &str, outcome: Result<String, _>| taken.add((worker.to_owned(), outcome.unwrap().len()));
        builder = builder.on_stop_with(many_bytes::job(length), take);
    }
    let pool = builder.build().unwrap();
    for outcome in pool.map::<many_bytes>([1_000_000; 6]) {
        assert_eq!(outcome.unwrap().len(), 1_000_000);
    }
    pool.join();
    let results = results.take();
    assert!(results.len() >= 3 * lengths.len(), "{method}: {results:?}");
    let mut counts = BTreeMap::new();
    results.iter().for_each(|(_, length)| *counts.entry(*length).or_insert(0) += 1);
    let workers = counts[&0];
    assert_eq!(
        counts,
        BTreeMap::from([(0, workers), (16_000, 11 * workers), (100_000, workers), (5_000_000, workers)]),
        "{method}"
    );
}

fn on_stop_runs_once_in_each_worker_that_ends_by_itself(method: StartMethod) {
    for round in 0..3 {
        let (builder, log) = listening(method, 2);
        let results: Results<u32> = Log::default();
        let taken = results.clone();
        let builder = if round > 0 { builder.max_jobs(round) } else { builder };
        let pool =
            builder.on_stop_with(pid::job(), move |worker, pid| taken.add((worker.to_owned(), pid.unwrap()))).build().unwrap();
        assert_eq!(pool.map::<double>(0..7).map(Result::unwrap).sum::<u64>(), 42);
        drop(pool);
        let mut stopped: Vec<u32> = results.take().into_iter().map(|(_, pid)| pid).collect();
        stopped.sort_unstable();
        let (mut clean, mut ready) = (Vec::new(), BTreeSet::new());
        for event in log.take() {
            match event.kind {
                EventKind::WorkerReady { pid, .. } => drop(ready.insert(pid)),
                EventKind::WorkerEnded { pid, how: HowItEnded::Exited(0), .. } => clean.push(pid),
                EventKind::StopJob { pid, outcome, .. } => assert!(outcome.is_ok() && stopped.contains(&pid), "{outcome:?}"),
                _ => {}
            }
        }
        clean.sort_unstable();
        assert_eq!(clean, stopped, "{method}, max_jobs {round}");
        assert!(ready.iter().all(|pid| stopped.contains(pid)), "{method}, max_jobs {round}: {ready:?} {stopped:?}");
        assert!(stopped.len() >= if round == 0 { 1 } else { 7_usize.div_ceil(round as usize) });
    }
}

fn on_stop_does_not_run_in_a_worker_that_is_killed(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let results: Results<u32> = Log::default();
    let taken = results.clone();
    let builder = patient(method, 2);
    let pool = builder.on_stop_with(pid::job(), move |worker, pid| taken.add((worker.to_owned(), pid.unwrap()))).build().unwrap();
    assert!(pool.run(exit::job(3)).unwrap_err().is_died());
    let busy = [pool.submit(pass::job(&path)).unwrap(), pool.submit(pass::job(&path)).unwrap()];
    gate.wait_for(2);
    let pids: Vec<u32> = busy.iter().filter_map(|job| job.report().pid).collect();
    pool.kill();
    assert!(pids.len() == 2 && pids.into_iter().all(process_gone));
    assert_eq!(results.take(), [], "{method}");
}

fn on_stop_runs_after_the_last_job_of_a_grace(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let results: Results<u32> = Log::default();
    let taken = results.clone();
    let pool = patient(method, 1)
        .on_stop_with(pid::job(), move |worker, pid| taken.add((worker.to_owned(), pid.unwrap())))
        .build()
        .unwrap();
    let job = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let worker = job.report().pid.unwrap();
    // The end begins while the job runs.
    gate.open();
    drop(pool);
    assert_eq!(job.wait().unwrap(), worker);
    assert_eq!(results.take(), [("mpm-0".to_owned(), worker)], "{method}");
}

#[worker]
fn note_in(folder: &str, prefix: &str) -> u32 {
    let pid = std::process::id();
    std::fs::write(format!("{folder}/{prefix}-{pid}"), "").unwrap();
    pid
}

#[worker]
fn note_start_in(folder: &str) {
    note_in(folder, "start");
}

/// A process for each job is started a little ahead of the jobs: up to three for each of the pool's workers.
fn i125_hooks_per_incarnation(method: StartMethod) {
    for workers in [1, 2, 4] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_str().unwrap();
        let results: Results<u32> = Log::default();
        let taken = results.clone();
        let builder = patient(method, workers).max_jobs(1).on_start(note_start_in::job(path));
        let take = move |worker: &str, pid: Result<u32, _>| taken.add((worker.to_owned(), pid.unwrap()));
        let pool = builder.on_stop_with(note_in::job(path, "stop"), take).build().unwrap();
        let ran: BTreeSet<u32> = pool.map::<pid>((0..10).map(|_| ())).map(Result::unwrap).collect();
        assert_eq!(ran.len(), 10, "a process for each job");
        pool.join();
        let noted = |prefix: &str| -> BTreeSet<u32> {
            let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect()
        };
        let (started, stopped) = (noted("start-"), noted("stop-"));
        let collected: Vec<u32> = results.take().into_iter().map(|(_, pid)| pid).collect();
        assert!(ran.is_subset(&started) && ran.is_subset(&stopped) && stopped.is_subset(&started), "{method}");
        assert!((10..=10 + 4 * workers).contains(&started.len()), "{method}, {workers} workers: {}", started.len());
        assert_eq!(collected.len(), stopped.len(), "{method}: each result once");
        assert_eq!(collected.into_iter().collect::<BTreeSet<_>>(), stopped, "{method}");
    }
}
