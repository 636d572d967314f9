//! Behaviours, group L: what a pool leaves behind, and what it takes while it lives. With the settings that group A asks
//! of a pool: environment, directory, sizes, threads.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;
use std::thread;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, worker};
use mpm_tests::{Gate, Leaks, alone, children_of, doomed, limit_descriptors, process_gone, report, wait_until, watchdog};
use tempfile::TempDir;

/// What the library keeps for the whole process is there from the first worker on.
fn warm_up() -> Leaks {
    pool_of(1).run(pid::job()).unwrap();
    Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"])
}

#[mpm::test]
fn l163_a_hundred_pools_one_after_the_other() {
    alone("l163_a_hundred_pools_one_after_the_other", || {
        let leaks = warm_up();
        for round in 0..100 {
            let pool = pool_of(1 + round % 4);
            let jobs: Vec<_> = (0..4).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            match round % 5 {
                0 => pool.kill(),
                1 => pool.join(),
                2 => drop(jobs),
                3 => assert!(pool.run(die::job(Way::Exit(1))).unwrap_err().is_died()),
                _ => mpm::wait_all(&jobs),
            }
        }
        leaks.check();
        assert_eq!(children_of(process::id()), []);
    });
}

#[mpm::test]
fn l163_pools_that_fail_leave_nothing() {
    alone("l163_pools_that_fail_leave_nothing", || {
        let leaks = warm_up();
        for _ in 0..20 {
            let pool = Pool::builder().workers(3).cwd("/no/such/folder").build().unwrap();
            assert!(matches!(pool.run(pid::job()), Err(JobError::PoolFailed(_))));
        }
        leaks.check();
    });
}

#[mpm::test]
fn l163_deaths_leave_nothing_in_a_pool_that_goes_on() {
    alone("l163_deaths_leave_nothing_in_a_pool_that_goes_on", || {
        let leaks = warm_up();
        let pool = pool_of(2);
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let all_ready = || {
            let ready = pool.broadcast(pid::job()).unwrap().wait();
            assert!(ready.len() == 2 && ready.iter().all(|(_, pid)| pid.is_ok()), "{ready:?}");
        };
        all_ready();
        let before = descriptors();
        for _ in 0..30 {
            assert!(pool.run(die::job(Way::Kill)).unwrap_err().is_died());
            assert!(pool.run(echo::job(vec![1; 300_000])).is_ok());
        }
        all_ready();
        // A worker's large payloads may lie in memory that it keeps, without a descriptor.
        wait_until("no descriptor is left of the dead", || descriptors() <= before);
        drop(pool);
        leaks.check();
    });
}

#[worker]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[mpm::test]
fn l163_handles_that_outlive_their_pool() {
    alone("l163_handles_that_outlive_their_pool", || {
        let leaks = warm_up();
        let pool = pool_of(2);
        let mut jobs: Vec<_> = (0..100).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        mpm::wait_all(&jobs);
        drop(pool);
        assert_eq!(jobs.pop().unwrap().wait().unwrap(), 198);
        assert!(!jobs[0].cancel() && jobs[0].report().pid.is_some());
        drop(jobs);
        leaks.check();
    });
}

#[mpm::test]
fn l163_jobs_that_are_taken_back_leave_no_memory() {
    alone("l163_jobs_that_are_taken_back_leave_no_memory", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(1).queue(8).build().unwrap();
        let running = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        // One that stays in front, so that what is taken back behind it is not met.
        let first = pool.submit(pass::job(&path)).unwrap();
        let resident = || {
            let pages = fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
        };
        let churn = |count| (0..count).for_each(|n| assert!(pool.submit(double::job(n)).unwrap().cancel()));
        churn(20_000);
        let before = resident();
        churn(400_000);
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 * 1024 * 1024, "{grown} bytes for jobs that are gone");
        gate.open();
        assert!(running.wait().is_ok() && first.wait().is_ok());
    });
}

#[mpm::test]
fn l163_few_descriptors_and_very_many_jobs() {
    alone("l163_few_descriptors_and_very_many_jobs", || {
        limit_descriptors(64);
        let pool = Pool::builder().workers(2).queue(200_000).build().unwrap();
        let jobs: Vec<_> = (0..100_000).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), 2 * n as u64);
        }
        drop(pool);
        for _ in 0..20 {
            assert_eq!(pool_of(2).run(double::job(1)).unwrap(), 2);
        }
    });
}

#[mpm::test]
fn l164_a_killed_owner_leaves_nothing_in_the_file_system() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let list = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().display().to_string())
            .filter(|name| name.starts_with("mpm") && !name.contains("alone"))
            .collect()
    };
    let folders = ["/dev/shm", "/tmp", "/run", "/var/tmp"];
    let before = folders.map(list);
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let name = "l164_a_killed_owner_leaves_nothing_in_the_file_system";
        let place = folder.path().join(signal.to_string());
        fs::create_dir(&place).unwrap();
        let mut process = doomed(name, &place, |folder| {
            let pool = pool_of(2);
            let worker = pool.run(pid::job()).unwrap();
            assert_eq!(pool.run(echo::job(vec![1; 2_000_000])).unwrap().len(), 2_000_000);
            report(folder, &worker.to_string());
            loop {
                thread::park();
            }
        });
        let worker: u32 = process.wait_report().parse().unwrap();
        process.kill(signal);
        process.wait();
        wait_until("the worker is gone", || process_gone(worker));
    }
    for (place, before) in folders.into_iter().zip(before) {
        assert!(list(place).is_subset(&before), "{place}: {:?}", list(place));
    }
}

#[mpm::test]
fn a22_environment() {
    let _guard = watchdog();
    let pool = Pool::builder().workers(1).env("MPM_A22", "first").env("MPM_A22", "own").env("PATH", "/nowhere").build().unwrap();
    let seen = pool.run(environment::job(vec!["MPM_A22".to_owned(), "PATH".to_owned(), "MPM_A22_UNSET".to_owned()])).unwrap();
    assert_eq!(seen, [Some("own".to_owned()), Some("/nowhere".to_owned()), None]);
    assert!(std::env::var_os("MPM_A22").is_none() && std::env::var_os("PATH").is_some_and(|path| path != "/nowhere"));
    let inherited = pool_of(1).run(environment::job(vec!["PATH".to_owned()])).unwrap();
    assert_eq!(inherited, [std::env::var("PATH").ok()]);
}

#[worker]
fn environment(names: Vec<String>) -> Vec<Option<String>> {
    names.iter().map(|name| std::env::var(name).ok()).collect()
}

#[worker]
fn directory() -> String {
    std::env::current_dir().unwrap().display().to_string()
}

#[mpm::test]
fn a22_working_directory() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let own = std::env::current_dir().unwrap();
    let pool = Pool::builder().workers(1).cwd(folder.path()).build().unwrap();
    let expected = folder.path().canonicalize().unwrap();
    assert_eq!(Path::new(&pool.run(directory::job()).unwrap()), expected);
    // A replacement is there as well.
    assert!(pool.run(die::job(Way::Exit(1))).unwrap_err().is_died());
    assert_eq!(Path::new(&pool.run(directory::job()).unwrap()), expected);
    assert_eq!(std::env::current_dir().unwrap(), own);
    assert_eq!(Path::new(&pool_of(1).run(directory::job()).unwrap()), own);
}

#[mpm::test]
fn a23_a_pool_from_a_thread_that_ends() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let made = thread::spawn(move || {
            let pool = pool_of(workers);
            let job = pool.submit(pid::job()).unwrap();
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            (pool, job)
        });
        let (pool, job) = made.join().unwrap();
        let worker = job.wait().unwrap();
        assert!(!process_gone(worker), "workers do not end with the thread that made their pool");
        assert_eq!(pool.run(double::job(2)).unwrap(), 4);
        assert!(pool.run(die::job(Way::Exit(1))).unwrap_err().is_died());
        thread::scope(|scope| scope.spawn(|| assert!(pool.run(pid::job()).is_ok())).join().unwrap());
        thread::spawn(move || drop(pool)).join().unwrap();
        assert!(process_gone(worker));
    }
}

#[mpm::test]
fn a25_sizes() {
    let _guard = watchdog();
    for builder in [Pool::builder().workers(0), Pool::builder().workers(usize::MAX), Pool::builder().queue(0)] {
        let error = builder.build().unwrap_err();
        assert!(error.is_setting() && !error.is_system(), "{error}");
    }
    let error = Pool::builder().workers(0).build().unwrap_err().to_string();
    assert!(error.contains("workers(0)"), "{error}");
    for (key, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0")] {
        assert!(Pool::builder().env(key, value).build().unwrap_err().is_setting());
    }
    assert!(Pool::builder().name("").build().unwrap_err().is_setting());
}

#[mpm::test]
fn a25_two_hundred_workers() {
    alone("a25_two_hundred_workers", || {
        let leaks = warm_up();
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(200);
        let jobs: Vec<_> = (0..200).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(200);
        gate.open();
        let pids: BTreeSet<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
        assert_eq!(pids.len(), 200);
        drop((pool, gate, folder));
        leaks.check();
    });
}
