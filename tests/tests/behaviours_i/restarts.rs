//! `restart` replaces all workers, a share at a time, while jobs go on: none is lost, cut short, or waits for a start.

use std::thread;
use std::time::Duration;
use std::{fs, process};

use mpm::{Pool, StartMethod};
use mpm_tests::{Gate, call_of, limit_descriptors_of, process_gone, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::{wait_for_workers, workers};

conform!(
    restart_replaces_all_under_load,
    restart_waits_for_jobs,
    restart_goes_on_beside_a_long_job,
    restart_keeps_who_has_no_successor,
    restart_and_the_end_of_the_pool,
    restart_and_a_pool_that_fails,
    restart_and_a_pool_that_is_about_to_end,
);

fn restart_replaces_all_under_load(method: StartMethod) {
    for share in [0.0, 0.5, 1.0] {
        let pool = build(Pool::builder().workers(4).recycle_share(share), method);
        let at_a_time = if share > 0.0 { (4.0 * share) as usize } else { 1 };
        pool.wait_restarted().unwrap();
        for _ in 0..3 {
            let before = wait_for_workers(4);
            thread::scope(|scope| {
                let jobs = scope.spawn(|| pool.map::<double>(0..5_000).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
                pool.restart();
                let waits = scope.spawn(|| pool.wait_restarted());
                while !waits.is_finished() {
                    let now = workers();
                    assert!(now.len() <= 4 + at_a_time, "{now:?}");
                    assert_eq!(pool.run(double::job(7)).unwrap(), 14);
                }
                waits.join().unwrap().unwrap();
                assert!(jobs.join().unwrap());
            });
            assert!(before.iter().all(|pid| process_gone(*pid)));
            assert!(wait_for_workers(4).is_disjoint(&before));
        }
    }
}

fn restart_waits_for_jobs(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(2).recycle_share(1.0), method);
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let busy = running.report().pid.unwrap();
    pool.restart();
    // The other one is replaced meanwhile, and does the work.
    wait_until("the other one is replaced", || workers().len() == 3 && pool.run(pid::job()).is_ok());
    assert!(workers().contains(&busy));
    thread::scope(|scope| {
        let waits = scope.spawn(|| pool.wait_restarted());
        gate.open();
        waits.join().unwrap().unwrap();
    });
    assert_eq!(running.wait().unwrap(), busy);
    assert!(process_gone(busy));
}

/// One at a time: who is idle does not wait for who is busy.
fn restart_goes_on_beside_a_long_job(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(3).recycle_share(0.0), method);
    // All are ready: one that still starts is not replaced before the busy one.
    let all = pool.broadcast(pid::job()).unwrap().wait();
    assert!(all.iter().all(|(_, outcome)| outcome.is_ok()), "{all:?}");
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let before = wait_for_workers(3);
    let busy = running.report().pid.unwrap();
    pool.restart();
    wait_until("the others are replaced", || workers().intersection(&before).eq([&busy]));
    gate.open();
    pool.wait_restarted().unwrap();
    assert_eq!(running.wait().unwrap(), busy);
    assert!(wait_for_workers(3).is_disjoint(&before));
}

fn restart_keeps_who_has_no_successor(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let needed = folder.path().join("needed");
    fs::create_dir(&needed).unwrap();
    let pool = build(Pool::builder().workers(2).cwd(&needed), method);
    let before = wait_for_workers(2);
    let old = pool.run(pid::job()).unwrap();
    fs::remove_dir(&needed).unwrap();
    pool.restart();
    assert!((0..300).all(|_| pool.run(pid::job()).is_ok_and(|pid| before.contains(&pid))), "{old}");
    fs::create_dir(&needed).unwrap();
    pool.wait_restarted().unwrap();
    assert!(workers().is_disjoint(&before));
}

fn restart_and_the_end_of_the_pool(method: StartMethod) {
    for round in 0..12 {
        let pool = build(Pool::builder().workers(3).recycle_share(1.0), method);
        let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        if round % 2 == 0 {
            wait_for_workers(3);
        }
        pool.restart();
        thread::scope(|scope| {
            let waits = scope.spawn(|| pool.wait_restarted());
            match round % 3 {
                0 => pool.join(),
                1 => pool.kill(),
                _ => pool.shutdown(Duration::from_secs(60)),
            }
            // It may have been done before.
            if let Err(error) = waits.join().unwrap() {
                assert!(error.is_closed(), "{error}");
            }
        });
        wait_for_workers(0);
        assert!(jobs.into_iter().all(|job| job.wait().is_ok() || round % 3 != 0));
        assert!(pool.wait_restarted().unwrap_err().is_closed());
    }
}

/// Successors cannot be started, and those that are there go on: no worker ends.
fn restart_and_a_pool_that_fails(method: StartMethod) {
    let pool = build(Pool::builder().workers(2).restart_limit(3, Duration::from_secs(60)), method);
    let all = pool.broadcast(pid::job()).unwrap().wait();
    assert!(all.iter().all(|(_, outcome)| outcome.is_ok()), "{all:?}");
    let before = limit_descriptors_of(process::id(), 3);
    pool.restart();
    let error = pool.wait_restarted().unwrap_err();
    limit_descriptors_of(process::id(), before);
    assert!(error.is_failed() && error.to_string().contains("more than 3 workers"), "{error}");
}

/// While a job runs on, which is what the end waits for.
fn restart_and_a_pool_that_is_about_to_end(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1), method);
    let running = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    pool.restart();
    thread::scope(|scope| {
        let waits = thread::Builder::new().name("waits".to_owned());
        let waits = waits.spawn_scoped(scope, || pool.wait_restarted()).unwrap();
        wait_until("it waits", || call_of("waits") == Some(libc::SYS_futex));
        let ends = scope.spawn(|| pool.join());
        assert!(waits.join().unwrap().unwrap_err().is_closed());
        assert!(!ends.is_finished());
        gate.open();
    });
    assert!(running.wait().is_ok());
}
