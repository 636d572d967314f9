//! Behaviours, group A, numbers 19, 22 and 23: what a child begins with, and from where it is started. Each for every start
//! method.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, process_gone};
use tempfile::TempDir;

use crate::methods::{add, pass, pool, process};

conform! {
    a19_preload,
    a19_preload_that_fails,
    a19_preload_in_a_program,
    a22_environment,
    a22_environment_before_main,
    a22_working_directory,
    a23_from_a_thread_that_ends,
}

static TABLE: OnceLock<Vec<u64>> = OnceLock::new();

/// Makes the table, and notes that in the file.
#[worker]
fn load(file: &Path, len: u64) -> Result<(), String> {
    let mut notes = OpenOptions::new().append(true).create(true).open(file).map_err(|e| e.to_string())?;
    // In one piece: others write there at the same time.
    notes.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(|e| e.to_string())?;
    TABLE.set((0..len).map(|n| n * n).collect()).map_err(|_| "loaded twice".to_owned())
}

/// Looks something up when all are there.
#[worker]
fn look_up(gate: &str, n: usize) -> Option<u64> {
    mpm_tests::wait_at(gate);
    TABLE.get()?.get(n).copied()
}

fn a19_preload(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("loads");
    let pool = Pool::builder().workers(3).start(method).max_jobs(2).preload(load::job(&file, 100)).build().unwrap();
    for round in 0..3 {
        let gate = Gate::new(folder.path(), &format!("gate {round}"));
        let path = gate.path();
        let jobs: Vec<_> = (0..3).map(|n| pool.submit(look_up::job(&path, n + 10)).unwrap()).collect();
        gate.wait_for(3);
        gate.open();
        for (job, expected) in jobs.into_iter().zip([100, 121, 144]) {
            assert_eq!(job.wait().unwrap(), Some(expected));
        }
    }
    assert_eq!(TABLE.get(), None, "nothing of it is in this process");
    pool.join();
    let loads = fs::read_to_string(file).unwrap().lines().count();
    if method == StartMethod::Spawn {
        assert!(loads >= 3, "once in each worker, not {loads} times");
    } else {
        assert_eq!(loads, 1);
    }
}

#[worker]
fn panic_early() {
    panic!("no table today");
}

fn a19_preload_that_fails(method: StartMethod) {
    let builder = || Pool::builder().workers(2).start(method);
    let refused = |builder: mpm::Builder| {
        let error = builder.build().unwrap().run(add::job(1, 2)).unwrap_err();
        assert!(matches!(error, JobError::PoolFailed(_)), "{error}");
        error.to_string()
    };
    let text = refused(builder().preload(panic_early::job()));
    assert!(text.contains("panic_early") && text.contains("no table today"), "{text}");
    let text = refused(builder().preload(load::job(Path::new("/no/such/file"), 1)));
    assert!(text.contains("load") && text.contains("No such file"), "{text}");
    assert_eq!(builder().build().unwrap().run(add::job(1, 2)).unwrap(), 3);
}

/// The lines that the program `starts` prints.
fn starts(method: StartMethod) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starts"));
    let output = command.args([method.name(), "--words", "two words", ""]).env("STARTS", "outer").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

/// What a preload job leaves in a buffer is written once; it sees the arguments of the program.
fn a19_preload_in_a_program(method: StartMethod) {
    let lines = starts(method);
    let text = lines.join("\n");
    // By spawn it is once in each worker, of which the last may not have begun when the jobs are done.
    let most = if method == StartMethod::Spawn { 3 } else { 1 };
    assert!((1..=most).contains(&text.matches("[loaded]").count()), "{text}");
    let seen = format!("[{:?}, \"--words\", \"two words\", \"\"", method.name());
    let looks: Vec<_> = lines.iter().filter(|line| line.contains("--words")).collect();
    assert!(looks.len() == 9 && looks.iter().all(|line| line.contains(&seen) && line.ends_with(" 1")), "{text}");
}

/// A forked child is past that point: what `main` has looked at before is what it saw then.
fn a22_environment_before_main(method: StartMethod) {
    let lines = starts(method);
    let early = if method == StartMethod::Fork { "outer" } else { "own" };
    let seen = format!("Some(\"{early}\") Some(\"own\")");
    let looks: Vec<_> = lines.iter().filter(|line| line.contains("--words")).collect();
    assert!(looks.len() == 9 && looks.iter().all(|line| line.contains(&seen)), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("Some(\"outer\")")), "{lines:#?}");
}

#[worker]
fn environment(names: Vec<String>) -> Vec<Option<String>> {
    names.iter().map(|name| env::var(name).ok()).collect()
}

fn a22_environment(method: StartMethod) {
    let names = || ["MPM_A22", "PATH", "HOME", "MPM_A22_UNSET"].map(str::to_owned).to_vec();
    let own: Vec<_> = names().iter().map(|name| env::var(name).ok()).collect();
    let changed = vec![Some("own = ∞".to_owned()), Some("/nowhere".to_owned()), own[2].clone(), None];
    let builder = Pool::builder().workers(2).start(method);
    let first = builder.clone().env("MPM_A22", "first").env("MPM_A22", "own = ∞").env("PATH", "/nowhere").build().unwrap();
    let second = builder.clone().env("MPM_A22", "second").build().unwrap();
    let plain = builder.build().unwrap();
    for _ in 0..4 {
        assert_eq!(first.run(environment::job(names())).unwrap(), changed);
        assert_eq!(second.run(environment::job(names())).unwrap()[0].as_deref(), Some("second"));
        assert_eq!(plain.run(environment::job(names())).unwrap(), own);
    }
    let started = process(method, environment::job(names())).env("MPM_A22", "own = ∞").env("PATH", "/nowhere").start().unwrap();
    assert_eq!(started.wait().unwrap(), changed);
    assert_eq!(process(method, environment::job(names())).start().unwrap().wait().unwrap(), own);
    let now: Vec<_> = names().iter().map(|name| env::var(name).ok()).collect();
    assert_eq!(now, own, "nothing has changed here");
}

#[worker]
fn directory() -> PathBuf {
    env::current_dir().unwrap()
}

fn a22_working_directory(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let (own, other) = (env::current_dir().unwrap(), folder.path().canonicalize().unwrap());
    let pool_there = Pool::builder().workers(1).start(method).cwd(&other).build().unwrap();
    assert_eq!(pool_there.run(directory::job()).unwrap(), other);
    assert_eq!(process(method, directory::job()).cwd(&other).start().unwrap().wait().unwrap(), other);
    assert_eq!(pool(method, 1).run(directory::job()).unwrap(), own);
    assert_eq!(env::current_dir().unwrap(), own);
    let error = process(method, directory::job()).cwd("/no/such/folder").start().unwrap_err().to_string();
    assert!(error.contains("/no/such/folder"), "{error}");
}

/// Children do not end with the thread that started them. By fork a thread may start them that is the only one of its process, and
/// no other.
fn a23_from_a_thread_that_ends(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let start = || {
        let pool = Pool::builder().workers(2).start(method).build()?;
        let process = process(method, pass::job(&path)).start()?;
        Ok::<_, mpm::Error>((pool, process))
    };
    let made = if method == StartMethod::Fork {
        let error = thread::scope(|scope| scope.spawn(start).join().unwrap()).unwrap_err();
        assert!(error.is_setting() && error.to_string().contains("other thread"), "{error}");
        start()
    } else {
        thread::scope(|scope| scope.spawn(start).join().unwrap())
    };
    let (pool, process) = made.unwrap();
    let worker = pool.run(own_pid::job()).unwrap();
    assert!(!process_gone(worker));
    thread::scope(|scope| scope.spawn(|| assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3)).join().unwrap());
    gate.wait_for(1);
    gate.open();
    assert!(thread::spawn(move || process.wait()).join().unwrap().is_ok());
    thread::spawn(move || drop(pool)).join().unwrap();
    assert!(process_gone(worker));
}

#[worker]
fn own_pid() -> u32 {
    std::process::id()
}
