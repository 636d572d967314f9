//! Behaviours, group A, number 21: what runs when a process exits. Each for every start method.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, at_exit, process_gone, report, wait_until};
use tempfile::TempDir;

use crate::methods::{Program, add, pass, pool, process};

conform! {
    a21_exit_hooks_run,
    a21_exit_hooks_of_the_program_are_its_own,
    a21_exit_of_a_child_waits_for_what_it_has_started,
}

static HOOK: OnceLock<File> = OnceLock::new();

extern "C" fn write_to_hook() {
    if let Some(mut file) = HOOK.get() {
        // In one piece: others write there at the same time.
        let _ = file.write_all(format!("{}\n", std::process::id()).as_bytes());
    }
}

/// Registers a hook that writes this process's number to the file.
#[worker]
fn register(file: &Path) -> u32 {
    if HOOK.set(OpenOptions::new().append(true).create(true).open(file).unwrap()).is_ok() {
        at_exit(write_to_hook);
    }
    std::process::id()
}

fn a21_exit_hooks_run(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("hooks");
    let ran = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect::<Vec<u32>>()
    };
    let mut expected = vec![process(method, register::job(&file)).start().unwrap().wait().unwrap()];
    assert_eq!(ran(), expected);

    let pool_of_two = pool(method, 1);
    expected.push(pool_of_two.run(register::job(&file)).unwrap());
    assert_eq!(ran().len(), 1, "a worker that goes on has not ended");
    pool_of_two.join();
    assert_eq!(ran(), expected);

    let pool = Pool::builder().workers(1).start(method).grace(Duration::from_secs(3600)).max_jobs(2).build().unwrap();
    for _ in 0..3 {
        let pids = [(); 2].map(|()| pool.run(register::job(&file)).unwrap());
        assert_eq!(pids[0], pids[1]);
        expected.push(pids[0]);
    }
    pool.join();
    // A worker and its successor may end at the same time.
    expected.sort_unstable();
    let mut ran = ran();
    ran.sort_unstable();
    assert_eq!(ran, expected);
}

/// A hook that the program has registered runs when the program ends, and in no copy of it.
fn a21_exit_hooks_of_the_program_are_its_own(method: StartMethod) {
    let mut program = Program::start("", |folder, _| {
        register(&folder.join("hooks"));
        assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
        let pool = Pool::builder().workers(2).start(method).max_jobs(1).build().unwrap();
        (0..6).for_each(|n| assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1));
        pool.join();
        let error = mpm::isolate(|| -> u32 { std::process::exit(3) }).unwrap_err();
        assert!(error.job().is_some_and(JobError::is_died), "{error}");
        report(folder, "");
    });
    assert!(program.doomed.wait().success(), "{}", program.doomed.output());
    let ran = fs::read_to_string(program.folder.path().join("hooks")).unwrap();
    assert_eq!(ran.trim_end(), program.doomed.pid().to_string());
}

/// Starts a process that waits at the gate, and forgets it.
#[worker]
fn start_and_forget(method: StartMethod, gate: &str) -> u32 {
    let started = process(method, pass::job(gate)).daemon(false).start().unwrap();
    started.pid()
}

fn a21_exit_of_a_child_waits_for_what_it_has_started(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    // The hook of this process that waits for its own ones shall be there already when it is copied.
    assert!(process(method, add::job(1, 2)).start().unwrap().wait().is_ok());
    let started = process(method, start_and_forget::job(method, &path)).start().unwrap();
    gate.wait_for(1);
    assert_eq!(started.join_timeout(Duration::from_millis(50)).unwrap(), None, "it waits at its exit");
    gate.open();
    assert_eq!(started.join().unwrap().code(), Some(0));
    let below = started.wait().unwrap();
    wait_until("it is gone", || process_gone(below));
}
