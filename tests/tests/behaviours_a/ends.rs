//! Behaviours, group A, numbers 10, 11, 15 and 16: how processes end, and many of them. Each for every start method.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;

use mpm::{JobError, Process, StartMethod, worker};
use mpm_tests::{Gate, exit_on_signal, wait_at};
use tempfile::TempDir;

use crate::methods::{add, pass, process};

conform! {
    a10_exit_status,
    a11_exit_codes,
    a15_recursive_starts,
    a16_burst,
    a16_burst_of_sleepers,
}

/// Exits with 1 when it is interrupted.
#[worker]
fn pass_with_handler(gate: &str) -> u32 {
    exit_on_signal(libc::SIGINT, 1);
    wait_at(gate);
    std::process::id()
}

fn a10_exit_status(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    type End = fn(&Process<u32>) -> mpm::Result<()>;
    let table: [(End, bool, Option<i32>, Option<i32>); 4] = [
        (Process::terminate, false, Some(libc::SIGTERM), None),
        (Process::kill, false, Some(libc::SIGKILL), None),
        (Process::interrupt, false, Some(libc::SIGINT), None),
        (Process::interrupt, true, None, Some(1)),
    ];
    for (arrived, (end, handles, signal, code)) in (1..).zip(table) {
        let started = if handles {
            process(method, pass_with_handler::job(&path)).start().unwrap()
        } else {
            process(method, pass::job(&path)).start().unwrap()
        };
        gate.wait_for(arrived);
        assert!(started.is_alive());
        end(&started).unwrap();
        let how = started.join().unwrap();
        assert_eq!((how.signal(), how.code()), (signal, code), "{how}");
        assert_eq!(started.exit_status(), Some(how.clone()));
        let error = started.wait().unwrap_err();
        let Some(JobError::Died(death)) = error.job() else { panic!("{error}") };
        assert_eq!(death.how, how);
    }
}

#[worker]
fn leave(code: i32, text: &str) {
    if !text.is_empty() {
        // Without a newline: what was written must arrive all the same.
        eprint!("{text}");
    }
    std::process::exit(code);
}

#[worker]
fn panic_with(text: &str) {
    panic!("{text}");
}

#[worker]
fn fail(text: &str) -> Result<u32, String> {
    Err(text.to_owned())
}

/// “Exit with a text” is a text on standard error and then code 1.
fn a11_exit_codes(method: StartMethod) {
    for (code, text) in [(8, ""), (0, ""), (1, "out of paper")] {
        let started = process(method, leave::job(code, text)).start().unwrap();
        assert_eq!(started.join().unwrap().code(), Some(code));
        let error = started.wait().unwrap_err();
        let Some(JobError::Died(death)) = error.job() else { panic!("{error}") };
        let lines: Vec<&str> = death.stderr.iter().map(String::as_str).collect();
        assert_eq!(lines, if text.is_empty() { vec![] } else { vec![text] });

        let (mut read, write) = io::pipe().unwrap();
        let started = process(method, leave::job(code, text)).stderr(write).start().unwrap();
        assert_eq!(started.join().unwrap().code(), Some(code));
        let mut written = String::new();
        read.read_to_string(&mut written).unwrap();
        assert_eq!(written, text);
    }
    let (mut read, write) = io::pipe().unwrap();
    let started = process(method, panic_with::job("lost my keys")).stderr(write).start().unwrap();
    assert_eq!(started.join().unwrap().code(), Some(101));
    let mut written = String::new();
    read.read_to_string(&mut written).unwrap();
    assert!(written.contains("lost my keys"), "{written}");
    let error = started.wait().unwrap_err();
    let Some(JobError::Panicked(panicked)) = error.job() else { panic!("{error}") };
    assert_eq!(panicked.message, "lost my keys");

    let started = process(method, fail::job("no")).start().unwrap();
    assert_eq!(started.join().unwrap().code(), Some(0), "it has returned");
    assert_eq!(started.wait().unwrap(), Err("no".to_owned()));
}

/// Writes down its path, and then starts two more, one after the other.
#[worker]
fn branch(method: StartMethod, file: &Path, path: Vec<u8>) {
    let mut to = OpenOptions::new().append(true).create(true).open(file).unwrap();
    to.write_all(format!("{path:?} {}\n", std::process::id()).as_bytes()).unwrap();
    if path.len() < 2 {
        for n in 0..2 {
            let below = path.iter().copied().chain([n]).collect();
            process(method, branch::job(method, file, below)).start().unwrap().wait().unwrap();
        }
    }
}

fn a15_recursive_starts(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("visits");
    process(method, branch::job(method, &file, vec![])).start().unwrap().wait().unwrap();
    let visits = fs::read_to_string(file).unwrap();
    let (paths, pids): (Vec<_>, BTreeSet<_>) = visits.lines().map(|line| line.rsplit_once(' ').unwrap()).unzip();
    assert_eq!(paths, ["[]", "[0]", "[0, 0]", "[0, 1]", "[1]", "[1, 0]", "[1, 1]"]);
    assert_eq!(pids.len(), 7);
}

fn a16_burst(method: StartMethod) {
    let start = |n: u64| process(method, add::job(n, 1)).start().unwrap();
    let started: Vec<_> = (0..100).map(start).collect();
    for (n, process) in (0..).zip(started) {
        assert_eq!(process.join().unwrap().code(), Some(0));
        assert_eq!(process.wait().unwrap(), n + 1);
    }
    assert!(mpm::active_processes().is_empty());
    if method != StartMethod::Fork {
        // From several threads; a fork refuses those.
        thread::scope(|scope| {
            let all = [(); 4].map(|()| scope.spawn(|| (0..25).map(start).collect::<Vec<_>>()));
            for started in all {
                assert!(started.join().unwrap().into_iter().all(|process| process.join().unwrap().code() == Some(0)));
            }
        });
    }
    assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
}

#[worker]
fn sleep() {
    loop {
        thread::park();
    }
}

fn a16_burst_of_sleepers(method: StartMethod) {
    let started: Vec<_> = (0..100).map(|_| process(method, sleep::job()).start().unwrap()).collect();
    started.iter().for_each(|process| process.terminate().unwrap());
    for process in &started {
        let how = process.join().unwrap();
        assert_eq!(how.signal(), Some(libc::SIGTERM), "{how}");
    }
    // Each at once after its start.
    for _ in 0..100 {
        let process = process(method, sleep::job()).start().unwrap();
        process.terminate().unwrap();
        let how = process.join().unwrap();
        assert_eq!(how.signal(), Some(libc::SIGTERM), "{how}");
    }
    assert!(mpm::active_processes().is_empty());
    assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
}
