//! Behaviours 139 to 141: the pool, or the program that has it, is gone before its jobs.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::thread;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, at_exit, doomed, process_gone, report, wait_at, wait_until};
use tempfile::TempDir;

use crate::jobs::worker_counts;
use crate::pools::{build, double, pass, pid, pool_of};
use crate::{LONG, is_cancelled, nobody_is_left};

conform!(
    j139_main_returns_and_the_pool_lives_in_a_static,
    j139_main_returns_and_drops_its_pool,
    j140_submit_from_an_exit_hook,
    j141_dropped_with_jobs_running,
    j141_dropped_before_its_workers_are_there,
);

static POOL: OnceLock<Pool> = OnceLock::new();

/// Nobody drops it: the program ends with main's exit status, and everything of it is gone.
fn j139_main_returns_and_the_pool_lives_in_a_static(method: StartMethod) {
    for code in [0, 7] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("code"), code.to_string()).unwrap();
        let test = format!("drops::j139_main_returns_and_the_pool_lives_in_a_static::{method}");
        let mut process = doomed(&test, folder.path(), |folder| {
            let built = pool_of(2, method);
            let pool = POOL.get_or_init(|| built);
            let idle = pool.run(pid::job()).unwrap();
            let gate = Gate::new(folder, "gate");
            let path = gate.path();
            let busy = pool.submit(pass::job(&path)).unwrap();
            let _queued: Vec<_> = (0..50).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
            gate.wait_for(2);
            report(folder, &format!("{idle} {}", busy.report().pid.unwrap()));
            process::exit(fs::read_to_string(folder.join("code")).unwrap().parse().unwrap());
        });
        let pids: Vec<u32> = process.wait_report().split(' ').map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(process.wait().code(), Some(code), "{}", process.output());
        wait_until("the workers are gone", || pids.iter().all(|pid| process_gone(*pid)));
        assert!(!process.output().contains("panicked"), "{}", process.output());
    }
}

/// Has a worker done: writes a file when the gate is open.
#[worker]
fn writes_behind(gate: &str, file: &str) {
    wait_at(gate);
    fs::write(file, "done").unwrap();
}

/// What runs completes within the grace, what waits is taken back; where main joins the pool at its end, all complete.
fn j139_main_returns_and_drops_its_pool(method: StartMethod) {
    for joins in [false, true] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("joins"), joins.to_string()).unwrap();
        let test = format!("drops::j139_main_returns_and_drops_its_pool::{method}");
        let mut process = doomed(&test, folder.path(), |folder| {
            let gate = Gate::new(folder, "gate");
            let path = gate.path();
            let pool = build(Pool::builder().workers(1).grace(LONG), method);
            let file = |n| folder.join(format!("job {n}")).to_str().unwrap().to_owned();
            let files = [0, 1, 2].map(file);
            let jobs = files.each_ref().map(|file| pool.submit(writes_behind::job(&path, file)).unwrap());
            gate.wait_for(1);
            report(folder, "");
            if fs::read_to_string(folder.join("joins")).unwrap() == "true" {
                gate.open();
                pool.join();
                return;
            }
            thread::scope(|scope| {
                let [_, second, third] = &jobs;
                scope.spawn(|| {
                    mpm::wait_all(std::slice::from_ref(second));
                    mpm::wait_all(std::slice::from_ref(third));
                    gate.open();
                });
                drop(pool);
            });
        });
        process.wait_report();
        assert_eq!(process.wait().code(), Some(0), "{}", process.output());
        let done = [0, 1, 2].map(|n| folder.path().join(format!("job {n}")).exists());
        assert_eq!(done, [true, joins, joins], "{}", process.output());
        assert!(!process.output().contains("panicked"), "{}", process.output());
    }
}

/// What a job's outcome was in an exit hook of the program.
extern "C" fn submits_at_the_end() {
    let (pool, folder) = (POOL.get().unwrap(), FOLDER.get().unwrap());
    let outcome = match pool.run(double::job(4)) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    };
    fs::write(folder.join("outcome"), outcome).unwrap();
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The program runs still, and so does a pool that nobody has ended; one that has ended refuses with the reason.
fn j140_submit_from_an_exit_hook(method: StartMethod) {
    for joins in [false, true] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("joins"), joins.to_string()).unwrap();
        let mut process = doomed(&format!("drops::j140_submit_from_an_exit_hook::{method}"), folder.path(), |folder| {
            let built = pool_of(1, method);
            let pool = POOL.get_or_init(|| built);
            assert!(pool.run(pid::job()).is_ok());
            FOLDER.set(folder.to_owned()).unwrap();
            if fs::read_to_string(folder.join("joins")).unwrap() == "true" {
                pool.join();
            }
            at_exit(submits_at_the_end);
        });
        assert_eq!(process.wait().code(), Some(0), "{}", process.output());
        let outcome = fs::read_to_string(folder.path().join("outcome")).unwrap();
        assert!(if joins { outcome.contains("takes no more jobs") } else { outcome == "8" }, "{outcome}");
    }
}

fn j141_dropped_with_jobs_running(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(10).grace(LONG), method);
    let running: Vec<_> = (0..10).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    gate.wait_for(10);
    let queued: Vec<_> = (0..10).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| drop(pool));
        mpm::wait_all(&queued);
        assert!(running.iter().all(|job| !job.is_finished()));
        gate.open();
    });
    assert!(running.into_iter().all(|job| job.wait().is_ok()));
    assert!(queued.into_iter().all(|job| is_cancelled(&job.wait())));
    nobody_is_left(method);
}

fn j141_dropped_before_its_workers_are_there(method: StartMethod) {
    for workers in worker_counts() {
        for _ in 0..20 {
            drop(pool_of(workers, method));
            let pool = pool_of(workers, method);
            let job = pool.submit(pid::job()).unwrap();
            drop(pool);
            assert!(matches!(job.wait(), Ok(_) | Err(JobError::Cancelled(_))));
            nobody_is_left(method);
        }
    }
}
