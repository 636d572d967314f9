//! The parent's end, for each start method and each moment of a start: no worker, no template and nothing that they started stays.
//!
//! All processes that belong to one doomed parent have its folder in their environment: what is left is found by that.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{self, Command};
use std::thread;

use crate::pools::{WITH_TEMPLATE, begin, build, isolated, pass, pid, pool_of, state_of};
use mpm::{Pool, Process, StartMethod, worker};
use mpm_tests::{Doomed, Gate, alone, children_of, doomed, kill, report, templates_of, try_kill, wait_until, watchdog};
use tempfile::TempDir;

/// The processes, this one excepted, that have `folder` in the environment with which they were started.
fn of(folder: &Path) -> Vec<u32> {
    let mark = folder.as_os_str().as_encoded_bytes();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        *pid != process::id() && environment.windows(mark.len()).any(|window| window == mark)
    })
    .collect()
}

/// Kills the doomed process and waits until nothing is left of it.
#[track_caller]
fn end(mut doomed: Doomed, folder: &Path, signal: i32) {
    doomed.kill(signal);
    doomed.wait();
    let left = || of(folder).into_iter().filter(|pid| !matches!(state_of(*pid), None | Some('Z' | 'X'))).collect::<Vec<_>>();
    let describe = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let start = std::time::Instant::now();
    while !left().is_empty() {
        if start.elapsed().as_secs() > 60 {
            let lines: Vec<String> = left().iter().map(describe).collect();
            left().iter().for_each(|pid| {
                let _ = try_kill(*pid, libc::SIGKILL);
            });
            panic!("signal {signal}: left behind: {lines:?}\n{}", doomed.output());
        }
        thread::yield_now();
    }
}

/// In the doomed process: never ends by itself.
fn for_ever() -> ! {
    loop {
        thread::park();
    }
}

#[worker]
fn closes_all_and_stays(gate: &str) {
    wait_at_later(gate);
    mpm_tests::close_descriptors_from(3);
    for_ever();
}

/// Says that it is there, and does not wait.
fn wait_at_later(gate: &str) {
    let path = format!("{gate}.arrived");
    fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(b"x").unwrap();
}

#[expect(clippy::zombie_processes, reason = "a job that leaves its child behind is what is tested")]
#[worker]
fn starts_a_child_and_stays(gate: &str) {
    Command::new("sleep").arg("1000").spawn().unwrap();
    wait_at_later(gate);
    for_ever();
}

/// A parent with an idle worker, one with a child, one that has closed every descriptor, a process, a daemon, a nested pool.
fn parent_of_many(folder: &Path, method: StartMethod) {
    let gate = Gate::new(folder, "gate");
    let path = gate.path();
    let pool = pool_of(4, method);
    let jobs = [pool.submit(starts_a_child_and_stays::job(&path)).unwrap(), pool.submit(closes_all_and_stays::job(&path)).unwrap()];
    let nested = pool.submit(has_a_pool::job(&path, method.name())).unwrap();
    let one = begin(Process::builder(starts_a_child_and_stays::job(&path)).daemon(false), method).unwrap();
    let two = begin(Process::builder(closes_all_and_stays::job(&path)).daemon(true), method).unwrap();
    gate.wait_for(5);
    assert!(pool.run(pid::job()).is_ok());
    let descriptors = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    wait_until("they are closed", || descriptors(two.pid()) <= 4);
    report(folder, &children_of(process::id()).len().to_string());
    drop((jobs, nested, one));
    for_ever();
}

#[worker]
fn has_a_pool(gate: &str, method: &str) {
    let inner = Pool::builder().workers(2).start(method.parse().unwrap()).build().unwrap();
    let job = inner.submit(starts_a_child_and_stays::job(gate)).unwrap();
    job.wait().unwrap();
}

fn many(test: &str, method: StartMethod) {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let folder = TempDir::new().unwrap();
        let mut process = doomed(test, folder.path(), |folder| parent_of_many(folder, method));
        process.wait_report();
        assert!(of(folder.path()).len() > 8);
        end(process, folder.path(), signal);
    }
}

#[mpm::test]
fn nothing_is_left_of_a_forkserver() {
    let _guard = watchdog();
    many("orphans::nothing_is_left_of_a_forkserver", StartMethod::ForkServer);
}

#[mpm::test]
fn nothing_is_left_of_spawned_ones() {
    let _guard = watchdog();
    many("orphans::nothing_is_left_of_spawned_ones", StartMethod::Spawn);
}

#[mpm::test]
fn nothing_is_left_of_forked_ones() {
    let _guard = watchdog();
    many("orphans::nothing_is_left_of_forked_ones", StartMethod::Fork);
}

/// A template that is stopped cannot see its parent's end, unless the system wakes it.
#[mpm::test]
fn a_stopped_template_ends_with_its_parent() {
    let _guard = watchdog();
    for method in WITH_TEMPLATE {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("method"), method.name()).unwrap();
        let mut process = doomed("orphans::a_stopped_template_ends_with_its_parent", folder.path(), |folder| {
            // The doomed process runs the test from the beginning: the first line that it needs names its method.
            let method: StartMethod =
                fs::read_to_string(folder.join("method")).map_or(StartMethod::ForkServer, |m| m.parse().unwrap());
            let pool = pool_of(2, method);
            assert!(pool.run(pid::job()).is_ok());
            for pid in templates_of(process::id()).iter().chain(&children_of(process::id())) {
                kill(*pid, libc::SIGSTOP);
                wait_until("it is stopped", || state_of(*pid) == Some('T'));
            }
            report(folder, "stopped");
            for_ever();
        });
        process.wait_report();
        end(process, folder.path(), libc::SIGKILL);
    }
}

#[mpm::test]
fn parent_and_template_die_together() {
    let _guard = watchdog();
    for template_first in [true, false] {
        let folder = TempDir::new().unwrap();
        let mut process = doomed("orphans::parent_and_template_die_together", folder.path(), |folder| {
            let gate = Gate::new(folder, "gate");
            let path = gate.path();
            let pool = pool_of(3, StartMethod::ForkServer);
            let job = pool.submit(starts_a_child_and_stays::job(&path)).unwrap();
            gate.wait_for(1);
            report(folder, &templates_of(process::id())[0].to_string());
            drop(job);
            for_ever();
        });
        let template: u32 = process.wait_report().parse().unwrap();
        if template_first {
            kill(template, libc::SIGKILL);
            end(process, folder.path(), libc::SIGKILL);
        } else {
            process.kill(libc::SIGKILL);
            try_kill(template, libc::SIGKILL);
            end(process, folder.path(), 0);
        }
    }
}

/// The parent is killed at some moment of the first starts of a pool and of processes.
#[mpm::test]
fn parent_killed_while_things_start() {
    let _guard = watchdog();
    for round in 0..45_u32 {
        let folder = TempDir::new().unwrap();
        let method = StartMethod::ALL[round as usize % 3];
        fs::write(folder.path().join("method"), method.name()).unwrap();
        let mut process = doomed("orphans::parent_killed_while_things_start", folder.path(), |folder| {
            let method: StartMethod = fs::read_to_string(folder.join("method")).unwrap().parse().unwrap();
            report(folder, "about to start");
            let pool = build(Pool::builder().workers(6).max_jobs(1), method);
            loop {
                drop(pool.submit(pid::job()));
                drop(begin(Process::builder(pid::job()), method));
            }
        });
        process.wait_report();
        // At no moment in particular.
        (0..(round / 3) * 200).for_each(|_| thread::yield_now());
        end(process, folder.path(), libc::SIGKILL);
    }
}

#[mpm::test]
fn an_isolated_closure_ends_with_its_parent() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("orphans::an_isolated_closure_ends_with_its_parent", folder.path(), |folder| {
        isolated(|| {
            mpm_tests::close_descriptors_from(3);
            report(folder, &process::id().to_string());
            for_ever();
        })
        .unwrap()
    });
    let inner: u32 = process.wait_report().parse().unwrap();
    assert!(state_of(inner).is_some());
    end(process, folder.path(), libc::SIGKILL);
}

/// The end of the thread that has started a process is not the end of the process.
#[mpm::test]
fn processes_outlive_the_thread_that_started_them() {
    alone("orphans::processes_outlive_the_thread_that_started_them", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        for method in StartMethod::ALL {
            let start = || begin(Process::builder(pass::job(&path)), method).unwrap();
            let process = thread::scope(|scope| scope.spawn(start).join().unwrap());
            let before = gate.arrived();
            wait_until("it runs", || gate.arrived() > before || gate.arrived() > 0);
            assert!(process.is_alive(), "{method}");
            let in_thread = || build(Pool::builder().workers(1), method);
            let pool = thread::scope(|scope| scope.spawn(in_thread).join().unwrap());
            assert!(pool.run(pid::job()).is_ok());
            assert!(process.is_alive(), "{method}");
            process.kill().unwrap();
            process.join().unwrap();
        }
        gate.open();
    });
}

#[expect(clippy::zombie_processes, reason = "a preload job that leaves its child behind is what is tested")]
#[worker]
fn preloads_a_child() {
    Command::new("sleep").arg("1000").spawn().unwrap();
}

/// A template has no lifeline while it serves, and its group was spared.
#[mpm::test]
fn what_was_preloaded_ends_with_the_parent() {
    let _guard = watchdog();
    for method in WITH_TEMPLATE {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("method"), method.name()).unwrap();
        let mut process = doomed("orphans::what_was_preloaded_ends_with_the_parent", folder.path(), |folder| {
            let method: StartMethod = fs::read_to_string(folder.join("method")).unwrap().parse().unwrap();
            let pool = build(Pool::builder().workers(1).preload(preloads_a_child::job()), method);
            assert!(pool.run(pid::job()).is_ok());
            report(folder, "preloaded");
            for_ever();
        });
        process.wait_report();
        assert_eq!(of(folder.path()).len(), 4, "the parent, its template, the child of that, a worker");
        end(process, folder.path(), libc::SIGKILL);
    }
}
