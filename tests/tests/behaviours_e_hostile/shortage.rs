//! Behaviours 78 and 92: threads that end their process, and threads and descriptors that are not to be had.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::thread;

use mpm::{HowItEnded, JobError, Phase, Pool, StartMethod, worker};
use mpm_tests::{
    Leaks, at_exit, become_nobody, doomed, limit_descriptors, limit_processes, process_gone, report, templates_of, wait_until,
};
use tempfile::TempDir;

use crate::jobs::{double, pid};
use crate::{nobody_is_left, pool_of};

conform!(e92_no_descriptors_left, e92_no_threads_left, e92_used_by_an_exit_hook, e78_a_thread_of_the_job_ends_the_process,);

fn e92_no_descriptors_left(method: StartMethod) {
    warm_up(method);
    let leaks = Leaks::baseline().allow_threads(&["mpm-"]);
    let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    for room in (0..40).rev() {
        limit_descriptors(used + room);
        let Ok(pool) = Pool::builder().start(method).workers(4).build() else { continue };
        // With some workers, or with none and the reason.
        match pool.run(double::job(4)) {
            Ok(value) => assert_eq!(value, 8),
            Err(JobError::PoolFailed(reason)) => assert!(reason.contains("start worker"), "{reason}"),
            Err(other) => panic!("{other}"),
        }
        drop(pool);
    }
    leaks.check();
}

/// Nor a process: the system counts both. Only root can become somebody whose processes are counted for this test alone.
fn e92_no_threads_left(method: StartMethod) {
    if !become_nobody() {
        println!("not root: the processes of others would be counted");
        return;
    }
    warm_up(method);
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    // It waits until the library's threads rest.
    drop(Leaks::baseline());
    let before = descriptors();
    let mut refused = 0;
    for number in (0..24).rev() {
        let limit = limit_processes(number);
        let built = Pool::builder().start(method).workers(2).build();
        let outcomes: Vec<_> = match &built {
            Ok(pool) => {
                // The second one needs a thread for its callback as well.
                let called = pool.run(double::job(5).on_done(|_| {}));
                vec![pool.run(double::job(4)).map(|value| value == 8), called.map(|value| value == 10)]
            }
            Err(error) => {
                assert!(error.to_string().contains("os error 11"), "{method} {number}: {error}");
                refused += 1;
                Vec::new()
            }
        };
        for outcome in outcomes {
            match outcome {
                Ok(is_right) => assert!(is_right),
                Err(JobError::PoolFailed(reason)) => assert!(reason.contains("os error 11"), "{method} {number}: {reason}"),
                Err(error) => panic!("{method} {number}: {error}"),
            }
        }
        drop((built, limit));
        assert_eq!(pool_of(method, 1).run(double::job(6)).unwrap(), 12, "{method} {number}: there is room again");
    }
    assert!(refused > 0, "{method}: nothing was short");
    // Not the same ones: a template that could not do its work has a successor.
    wait_until("as many descriptors are open as before", || descriptors() == before);
    nobody_is_left(method);
}

/// A pool comes and goes, after which this process has what the library keeps for all of it.
fn warm_up(method: StartMethod) {
    let pool = pool_of(method, 1);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    let templates = templates_of(process::id());
    drop(pool);
    if method == StartMethod::Fork {
        // That of a copy goes with its pool, a moment later.
        wait_until("its template is gone", || templates.iter().all(|pid| process_gone(*pid)));
    }
}

static METHOD: OnceLock<StartMethod> = OnceLock::new();
static POOL: OnceLock<Pool> = OnceLock::new();
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Uses the program's pool, and one of its own, when `main` has long returned.
extern "C" fn use_pools() {
    let there = POOL.get().unwrap().run(double::job(4)).map_err(|error| error.to_string());
    let own = Pool::builder().workers(1).start(*METHOD.get().unwrap()).build();
    let own = own.map(|pool| pool.run(double::job(5)).map_err(|error| error.to_string()));
    report(FOLDER.get().unwrap(), &format!("{there:?}, {own:?}"));
}

/// The late end of a program: threads that are there go on until its last moment, and new ones may be started.
fn e92_used_by_an_exit_hook(method: StartMethod) {
    let thread = thread::current();
    let folder = TempDir::new().unwrap();
    // libtest names its threads after their tests.
    let mut program = doomed(thread.name().unwrap(), folder.path(), |folder| {
        METHOD.set(method).unwrap();
        FOLDER.set(folder.to_owned()).unwrap();
        at_exit(use_pools);
        assert_eq!(POOL.get_or_init(|| pool_of(method, 2)).run(double::job(3)).unwrap(), 6);
    });
    assert!(program.wait().success(), "{}", program.output());
    assert_eq!(program.wait_report(), "Ok(8), Ok(Ok(10))");
}

#[worker]
fn exits_from_a_thread() {
    std::thread::spawn(|| process::exit(6));
    loop {
        std::thread::park();
    }
}

fn e78_a_thread_of_the_job_ends_the_process(method: StartMethod) {
    let pool = pool_of(method, 1);
    match pool.run(exits_from_a_thread::job()) {
        Err(JobError::Died(death)) => assert_eq!((death.how, death.phase), (HowItEnded::Exited(6), Phase::Running)),
        other => panic!("{other:?}"),
    }
    assert!(pool.run(pid::job()).is_ok());
}
