//! Pools in the workers of pools: how deep, how many CPUs, and that a tree ends as one. For each start method.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::OnceLock;
use std::time::Duration;

use mpm::{JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Gate, Log, children_of, doomed, kill, process_gone, report, templates_of, wait_at, wait_until};
use tempfile::TempDir;

conform!(
    k153_a_pool_inside_a_worker,
    k153_a_setting_that_cannot_be_used,
    k154_depth_limit,
    k154_depth_limit_and_a_kill,
    k154_depth_counts_processes_and_copies,
    one_budget_of_cpus_for_the_tree,
    j145_kill_with_nested_pools,
    k156_the_death_of_any_level_ends_those_below,
    k155_nested_pools_in_statics_at_the_end,
    j147_stop_requested_from_inside_a_job,
    f100_a_job_that_waits_on_what_looks_like_its_own_pool,
);

fn pool(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().unwrap()
}

#[worker]
fn double(n: u64) -> u64 {
    2 * n
}

/// Runs itself so many levels deeper, in a pool of its own, and says how deep it came.
#[worker]
fn deep(method: StartMethod, depth: u32) -> Result<u32, String> {
    if depth == 0 {
        return Ok(0);
    }
    let pool = Pool::builder().workers(1).start(method).build().map_err(|error| {
        assert!(error.is_too_deep(), "{error}");
        // Nothing was started for it.
        assert!(children_of(process::id()).is_empty() && templates_of(process::id()).is_empty());
        error.to_string()
    })?;
    Ok(1 + pool.run(deep::job(method, depth - 1)).map_err(|e| e.to_string())??)
}

fn k153_a_pool_inside_a_worker(method: StartMethod) {
    let pool = pool(method, 2);
    for depth in 0..=3 {
        assert_eq!(pool.run(deep::job(method, depth)).unwrap(), Ok(depth));
    }
}

#[worker]
fn builds_what_cannot_be(method: StartMethod) -> String {
    Pool::builder().start(method).workers(0).build().unwrap_err().to_string()
}

fn k153_a_setting_that_cannot_be_used(method: StartMethod) {
    let error = pool(method, 1).run(builds_what_cannot_be::job(method)).unwrap();
    assert!(error.contains("workers(0)"), "{error}");
}

fn k154_depth_limit(method: StartMethod) {
    let pool = pool(method, 1);
    // The pool's own workers are one level below this process.
    assert_eq!(pool.run(deep::job(method, 9)).unwrap(), Ok(9));
    let error = pool.run(deep::job(method, 10)).unwrap().unwrap_err();
    assert!(error.contains("10 levels") && error.contains("at most 10"), "{error}");
    assert_eq!(pool.run(deep::job(method, 9)).unwrap(), Ok(9));
}

/// As `deep`, and waits at the bottom.
#[worker]
fn deep_and_wait(method: StartMethod, depth: u32, gate: &str, folder: &Path) -> u32 {
    fs::write(folder.join(process::id().to_string()), "").unwrap();
    if depth == 0 {
        wait_at(gate);
        return 0;
    }
    1 + pool(method, 1).run(deep_and_wait::job(method, depth - 1, gate, folder)).unwrap()
}

fn pids_in(folder: &Path) -> BTreeSet<u32> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

fn k154_depth_limit_and_a_kill(method: StartMethod) {
    let (folder, levels) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool(method, 1);
    let job = pool.submit(deep_and_wait::job(method, 9, &path, levels.path())).unwrap();
    gate.wait_for(1);
    pool.kill();
    assert!(job.wait().unwrap_err().is_cancelled());
    let pids = pids_in(levels.path());
    assert_eq!(pids.len(), 10);
    wait_until("no worker of any level is left", || pids.iter().all(|pid| process_gone(*pid)));
}

/// A process in a process, and so on.
#[worker]
fn deep_processes(method: StartMethod, depth: u32) -> Result<u32, String> {
    if depth == 0 {
        return Ok(0);
    }
    let started = Process::builder(deep_processes::job(method, depth - 1)).start_method(method).start();
    let process = started.map_err(|error| error.is_too_deep().to_string())?;
    Ok(1 + process.wait().map_err(|e| e.to_string())??)
}

fn k154_depth_counts_processes_and_copies(method: StartMethod) {
    let pool = pool(method, 1);
    assert_eq!(pool.run(deep_processes::job(method, 9)).unwrap(), Ok(9));
    assert_eq!(pool.run(deep_processes::job(method, 10)).unwrap(), Err("true".to_owned()));
    drop(pool);
    assert_eq!(copies(10), 10);
    assert_eq!(copies(11), 10);
}

/// A copy of a copy, and so on, as deep as that goes.
fn copies(depth: u32) -> u32 {
    if depth == 0 { 0 } else { mpm::isolate(move || 1 + copies(depth - 1)).unwrap_or(0) }
}

/// How a pool prints for which nobody says how many workers it has; and one inside of one of so many.
#[worker]
fn default_pools(method: StartMethod, inner: usize) -> (String, String) {
    let own = format!("{:?}", Pool::builder().start(method).build().unwrap());
    let inner = pool(method, inner).run(default_pool::job(method)).unwrap();
    (own, inner)
}

#[worker]
fn default_pool(method: StartMethod) -> String {
    format!("{:?}", Pool::builder().start(method).build().unwrap())
}

fn one_budget_of_cpus_for_the_tree(method: StartMethod) {
    let prints = |workers: usize| format!("Pool(mpm, {workers} workers)");
    let cpus = std::thread::available_parallelism().unwrap().get();
    for (outer, inner) in [(1, 1), (1, cpus), (cpus, 1), (2 * cpus, 2)] {
        let pool = pool(method, outer);
        let share = (cpus / outer).max(1);
        let expected = (prints(share), prints((share / inner).max(1)));
        assert_eq!(pool.run(default_pools::job(method, inner)).unwrap(), expected, "{method}, {outer}, {inner}");
    }
    // What the environment says is the budget of the whole tree, not of each of its pools.
    let tree = Process::builder(tree_of_eight::job(method)).start_method(method).env("MPM_WORKERS", "8");
    assert_eq!(tree.start().unwrap().wait().unwrap(), (prints(8), (prints(4), prints(1))), "{method}");
}

#[worker]
fn tree_of_eight(method: StartMethod) -> (String, (String, String)) {
    let own = format!("{:?}", Pool::builder().start(method).build().unwrap());
    (own, pool(method, 2).run(default_pools::job(method, 3)).unwrap())
}

fn j145_kill_with_nested_pools(method: StartMethod) {
    let ends: [fn(&Pool); 3] = [Pool::kill, |pool| pool.shutdown(Duration::ZERO), |_| ()];
    for (round, end) in ends.into_iter().enumerate() {
        let (folder, levels) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(1).start(method).grace(Duration::from_millis(10)).build().unwrap();
        let job = pool.submit(deep_and_wait::job(method, 3, &path, levels.path())).unwrap();
        gate.wait_for(1);
        end(&pool);
        drop(pool);
        assert!(job.wait().unwrap_err().is_cancelled());
        let pids = pids_in(levels.path());
        assert_eq!(pids.len(), 4, "{method}, {round}");
        wait_until("no worker of any level is left", || pids.iter().all(|pid| process_gone(*pid)));
    }
}

/// As `deep_and_wait`, with the levels in order in the names.
#[worker]
fn levels(method: StartMethod, depth: u32, gate: &str, folder: &Path) -> Result<u32, String> {
    fs::write(folder.join(format!("{depth}-{}", process::id())), "").unwrap();
    if depth == 0 {
        wait_at(gate);
        return Ok(0);
    }
    pool(method, 1).run(levels::job(method, depth - 1, gate, folder)).map_err(|e| e.to_string())?
}

fn k156_the_death_of_any_level_ends_those_below(method: StartMethod) {
    for killed in 0..3 {
        let (folder, names) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool(method, 1);
        let job = pool.submit(levels::job(method, 2, &path, names.path())).unwrap();
        gate.wait_for(1);
        let of = |level: u32| -> u32 {
            let names = fs::read_dir(names.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.into_iter().find_map(|name| name.strip_prefix(&format!("{level}-"))?.parse().ok()).unwrap()
        };
        kill(of(killed), libc::SIGKILL);
        match job.wait() {
            // The level above has the report.
            Ok(told) => assert!(killed < 2 && told.as_ref().unwrap_err().contains("SIGKILL"), "{method}, {killed}: {told:?}"),
            Err(error) => assert!(killed == 2 && error.is_died(), "{method}, {killed}: {error}"),
        }
        wait_until("those below are gone", || (0..=killed).all(|level| process_gone(of(level))));
        assert_eq!(pool.run(double::job(4)).unwrap(), 8, "{method}");
    }
}

static INNER: OnceLock<Pool> = OnceLock::new();

/// Uses a pool that nobody ends, at the third level one in a worker of the same kind.
#[worker]
fn uses_a_static_pool(method: StartMethod, depth: u32) -> Vec<u32> {
    let mut pids = vec![process::id()];
    if depth > 0 {
        // Built before it is put there: a copy that is forked inside of `get_or_init` would find that at work for ever.
        let built = INNER.get().is_none().then(|| pool(method, 2));
        let inner = INNER.get_or_init(|| built.unwrap());
        pids.extend(inner.run(uses_a_static_pool::job(method, depth - 1)).unwrap());
    }
    pids
}

fn k155_nested_pools_in_statics_at_the_end(method: StartMethod) {
    for end in [Pool::join, Pool::kill, |_: &Pool| ()] {
        let pool = pool(method, 2);
        let pids: Vec<u32> = (0..4).flat_map(|_| pool.run(uses_a_static_pool::job(method, 2)).unwrap()).collect();
        assert_eq!(pids.len(), 12);
        end(&pool);
        drop(pool);
        wait_until("no worker of any level is left", || pids.iter().all(|pid| process_gone(*pid)));
    }
    program_with_static_pools(method);
}

/// And where the program just ends.
fn program_with_static_pools(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let name = format!("k155_nested_pools_in_statics_at_the_end::{method}");
    let mut program = doomed(&name, folder.path(), |folder| {
        let outer = INNER.get_or_init(|| Pool::builder().workers(1).start(StartMethod::ForkServer).build().unwrap());
        let pids = outer.run(uses_a_static_pool::job(StartMethod::ForkServer, 2)).unwrap();
        report(folder, &pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    });
    let pids: Vec<u32> = program.wait_report().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(program.wait().success() && !program.output().contains("panicked"), "{}", program.output());
    assert_eq!(pids.len(), 3);
    wait_until("no worker of any level is left", || pids.iter().all(|pid| process_gone(*pid)));
}

static OUTER: OnceLock<Pool> = OnceLock::new();

/// Ends the pool in the static, if there is one here, and says what became of a job that it submits then.
#[worker]
fn ends_the_static_pool(kills: bool) -> Option<String> {
    let pool = OUTER.get()?;
    if kills {
        pool.kill();
    } else {
        pool.join();
    }
    Some(pool.submit(double::job(1)).unwrap_err().to_string())
}

/// A job sees no pool of its parent's but a copy of one that was there when its process was forked; that is not the pool, and
/// neither ends nor runs anything.
fn j147_stop_requested_from_inside_a_job(method: StartMethod) {
    let outer = OUTER.get_or_init(|| pool(method, 1));
    for kills in [false, true] {
        let own = outer.run(ends_the_static_pool::job(kills)).unwrap();
        assert_eq!(own, None, "{method}: its workers were there before the static was");
        let of_a_later_one = pool(method, 1).run(ends_the_static_pool::job(kills)).unwrap();
        match method {
            StartMethod::Fork => assert!(of_a_later_one.is_some_and(|reason| reason.contains("forked")), "{method}"),
            _ => assert_eq!(of_a_later_one, None, "{method}"),
        }
        assert_eq!(outer.run(double::job(4)).unwrap(), 8, "{method}: it goes on");
    }
    outer.join();
}

static MINE: OnceLock<Pool> = OnceLock::new();

/// Submits itself to what it takes for its own pool, and waits: each level makes another one, until that is too deep.
#[worker]
fn waits_for_itself(method: StartMethod) -> Result<u32, String> {
    let built = if MINE.get().is_none() {
        let built = Pool::builder().workers(1).start(method).build();
        Some(built.map_err(|e| e.to_string())?)
    } else {
        None
    };
    let mine = MINE.get_or_init(|| built.unwrap());
    mine.run(waits_for_itself::job(method)).map_err(|e| e.to_string())?
}

fn f100_a_job_that_waits_on_what_looks_like_its_own_pool(method: StartMethod) {
    let reasons: Log<String> = Log::default();
    reasons.add(waits_for_itself(method).unwrap_err());
    let [reason] = &reasons.take()[..] else { panic!("one reason") };
    assert!(reason.contains("at most 10"), "{reason}");
    assert!(matches!(MINE.get().unwrap().run(double::job(4)), Ok(8) | Err(JobError::Died(_))));
}
