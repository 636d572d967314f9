//! A hundred cycles of everything, for each start method: descriptors, threads, children, templates and memory stay where they were.

use std::fs;
use std::process;

use mpm::{JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Leaks, alone, children_of, process_gone, templates_of, wait_until};

use crate::pools::{begin, build, dies, double, isolated, pid, pool_of};

/// The memory of this process that is not shared with files, in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Runs `cycle` a few times to warm up, and then a hundred times, after which nothing may be left.
fn hundred(method: StartMethod, mut cycle: impl FnMut(usize)) {
    (0..12).for_each(&mut cycle);
    // A template goes when its last worker has been reaped; one of a fork server's may stay.
    let stay = usize::from(method == StartMethod::ForkServer);
    wait_until("templates are few", || templates_of(process::id()).len() <= stay);
    let leaks = Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
    let (before, templates) = (resident(), templates_of(process::id()).len());
    (0..100).for_each(&mut cycle);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes for a hundred cycles");
    wait_until("no worker is left", || children_of(process::id()).is_empty());
    wait_until("templates are few", || templates_of(process::id()).len() <= templates.max(1));
    leaks.check();
}

fn pools(method: StartMethod) {
    hundred(method, |round| {
        let builder = Pool::builder().workers(1 + round % 3);
        let pool = build(if round % 2 == 0 { builder } else { builder.max_jobs(1) }, method);
        let jobs: Vec<_> = (0..4).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        match round % 6 {
            0 => pool.kill(),
            1 => pool.join(),
            2 => drop(jobs),
            3 => assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died()),
            4 => mpm::wait_all(&jobs),
            // A worker dies by somebody else's hand.
            _ => {
                if let Ok(pid) = pool.run(pid::job()) {
                    let _ = mpm_tests::try_kill(pid, libc::SIGKILL);
                }
            }
        }
        let templates = templates_of(process::id());
        drop(pool);
        if method == StartMethod::Fork {
            // That of a copy goes with its pool, a moment later.
            wait_until("its template is gone", || templates.iter().all(|pid| process_gone(*pid)));
        }
    });
}

#[mpm::test]
fn pools_by_forkserver() {
    alone("leaks::pools_by_forkserver", || pools(StartMethod::ForkServer));
}

#[mpm::test]
fn pools_by_spawn() {
    alone("leaks::pools_by_spawn", || pools(StartMethod::Spawn));
}

#[mpm::test]
fn pools_by_fork() {
    alone("leaks::pools_by_fork", || pools(StartMethod::Fork));
}

/// Each pool has an environment of its own, and so a template: that goes with the pool, but for the last one.
#[mpm::test]
fn templates_of_pools_that_differ() {
    alone("leaks::templates_of_pools_that_differ", || {
        hundred(StartMethod::ForkServer, |round| {
            let pool = Pool::builder().workers(1).env("ROUND", round.to_string()).preload(nothing::job());
            let pool = build(pool, StartMethod::ForkServer);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            let templates = templates_of(process::id());
            assert!(templates.len() <= 3, "{}", templates.len());
            drop(pool);
            wait_until("its template is gone", || templates.iter().all(|pid| process_gone(*pid)));
        });
    });
}

#[worker]
fn nothing() {}

/// A template may die and be made anew as often as it likes.
#[mpm::test]
fn templates_that_are_killed() {
    alone("leaks::templates_that_are_killed", || {
        let pool = pool_of(1, StartMethod::ForkServer);
        // Both are there when the baseline is taken, and again at the end.
        let all_there = || children_of(process::id()).len() == 1 && templates_of(process::id()).len() == 1;
        let mut cycle = |_| {
            wait_until("all are there", all_there);
            mpm_tests::kill(templates_of(process::id())[0], libc::SIGKILL);
            match pool.run(dies::job(libc::SIGKILL)) {
                Err(JobError::Died(_)) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(pool.run(double::job(2)).unwrap(), 4);
        };
        (0..10).for_each(&mut cycle);
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        wait_until("all are there", all_there);
        let (before, resident_before) = (descriptors(), resident());
        (0..60).for_each(&mut cycle);
        wait_until("no descriptor is left", || all_there() && descriptors() <= before);
        assert!(resident().saturating_sub(resident_before) < 4 * 1024 * 1024);
    });
}

fn processes(method: StartMethod) {
    hundred(method, |round| {
        let process = begin(Process::builder(double::job(round as u64)), method).unwrap();
        match round % 4 {
            0 => assert_eq!(process.wait().unwrap(), 2 * round as u64),
            1 => {
                process.kill().unwrap();
                process.join().unwrap();
            }
            2 => drop(process.join().unwrap()),
            _ => drop(process),
        }
        wait_until("it is off the list", || mpm::active_processes().is_empty());
        let killed = begin(Process::builder(dies::job(libc::SIGKILL)), method).unwrap();
        assert!(killed.wait().is_err());
    });
}

#[mpm::test]
fn processes_by_forkserver() {
    alone("leaks::processes_by_forkserver", || processes(StartMethod::ForkServer));
}

#[mpm::test]
fn processes_by_spawn() {
    alone("leaks::processes_by_spawn", || processes(StartMethod::Spawn));
}

#[mpm::test]
fn processes_by_fork() {
    alone("leaks::processes_by_fork", || processes(StartMethod::Fork));
}

#[mpm::test]
fn isolated_closures() {
    alone("leaks::isolated_closures", || {
        let table = vec![1_u8; 1_000_000];
        hundred(StartMethod::ForkServer, |round| match round % 4 {
            0 => assert_eq!(isolated(|| table.len()).unwrap(), 1_000_000),
            1 => assert_eq!(isolated(|| table.clone()).unwrap(), table),
            2 => assert!(isolated(|| mpm_tests::raise(libc::SIGKILL)).unwrap_err().job().unwrap().is_died()),
            _ => assert!(isolated(|| -> u32 { panic!("on purpose") }).is_err()),
        });
    });
}
