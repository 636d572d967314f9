//! Behaviours 148, 152 and 158: a signal finds a program that waits, or one that has ended with a pool in a static.

use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use mpm::signals::{self, SIGINT, SIGTERM};
use mpm::{Pool, StartMethod};
use mpm_tests::{Gate, block_on, doomed, in_forked_copy, kill, process_gone, raise, report, wait_until};
use tempfile::TempDir;

use crate::LONG;
use crate::busy::Busy;
use crate::pools::{build, double, pass, pid, pool_of};

conform!(
    j148_from_a_signal_handler,
    j152_a_pool_kept_only_by_a_global,
    k158_sigint_interrupts_a_waiting_main_and_handlers_are_restored,
    k158_a_submitter_that_waits_for_room_is_released,
    workers_and_copies_keep_nothing_of_it,
);

fn j148_from_a_signal_handler(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed(&format!("waits::j148_from_a_signal_handler::{method}"), folder.path(), |folder| {
        let Busy { pool, jobs, gate } = Busy::new(method, folder, "waits", LONG);
        let _guard = signals::shutdown_on(&[SIGINT, SIGTERM], &pool).unwrap();
        let worker = jobs[0].report().pid.unwrap();
        report(folder, "waits");
        // Main waits, as do others in each way there is.
        let mut jobs = jobs.into_iter();
        let (running, second, third) = (jobs.next().unwrap(), jobs.next().unwrap(), jobs.next().unwrap());
        let path = gate.path();
        thread::scope(|scope| {
            scope.spawn(|| assert!(block_on(second).unwrap_err().is_cancelled()));
            scope.spawn(|| assert_eq!(mpm::wait_any(&[third]), Some(0)));
            scope.spawn(|| assert!(pool.map::<pass>([path.as_str(); 5000]).all(|outcome| outcome.is_err())));
            assert!(running.wait().unwrap_err().is_cancelled());
        });
        assert!(process_gone(worker));
        drop(pool);
        drop(gate);
    });
    process.wait_report();
    // The two count together; which of them comes first does not matter.
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGTERM] {
        process.kill(signal);
        let pending = || {
            let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or("0").trim().to_owned();
            u64::from_str_radix(&line, 16).unwrap() != 0
        };
        // Two of a kind that wait to be delivered would be one.
        wait_until("it is delivered", || !pending());
    }
    assert!(process.wait().success(), "{}", process.output());
}

/// What this process does with signals.
fn dispositions() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().filter(|line| line.starts_with("SigCgt") || line.starts_with("SigIgn")).map(str::to_owned).collect()
}

fn k158_sigint_interrupts_a_waiting_main_and_handlers_are_restored(method: StartMethod) {
    let before = dispositions();
    let folder = TempDir::new().unwrap();
    for (round, signals) in [&[SIGINT][..], &[SIGTERM, SIGINT]].into_iter().enumerate() {
        let busy = Busy::new(method, folder.path(), &format!("busy-{round}"), Duration::ZERO);
        let own = dispositions();
        let guard = signals::shutdown_on(signals, &busy.pool).unwrap();
        let another = signals::shutdown_on(signals, &busy.pool).unwrap();
        assert_ne!(dispositions(), own);
        // Sent by itself while it waits: each counts for both guards.
        raise(libc::SIGINT);
        busy.wait_closed();
        raise(libc::SIGINT);
        assert_eq!(busy.outcomes(), "ccc");
        drop(guard);
        assert_ne!(dispositions(), own);
        drop(another);
        assert_eq!(dispositions(), own);
    }
    assert_eq!(dispositions(), before);
}

fn k158_a_submitter_that_waits_for_room_is_released(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(1).queue(1), method);
    let _guard = signals::shutdown_on_ctrl_c(&pool).unwrap();
    thread::scope(|scope| {
        let submits = scope.spawn(|| {
            let mut accepted = 0;
            loop {
                match pool.submit(pass::job(&path)) {
                    Ok(job) => drop(job),
                    Err(refused) => break assert!(refused.is_closed() && accepted >= 1, "{refused}"),
                }
                accepted += 1;
            }
        });
        gate.wait_for(1);
        raise(libc::SIGINT);
        submits.join().unwrap();
        gate.open();
    });
}

fn workers_and_copies_keep_nothing_of_it(method: StartMethod) {
    let pool = pool_of(1, method);
    let _guard = signals::shutdown_on(&[SIGTERM], &pool).unwrap();
    // A worker ends by SIGTERM, and the pool goes on.
    for workers in [1, 2, 4] {
        let other = pool_of(workers, method);
        let worker = other.run(pid::job()).unwrap();
        kill(worker, libc::SIGTERM);
        wait_until("it has ended", || process_gone(worker));
        assert_eq!(other.run(double::job(4)).unwrap(), 8);
    }
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    // A copy that the user makes is none of the pool's: the signal does there what it did before.
    let ended = std::panic::catch_unwind(|| {
        in_forked_copy(|| {
            raise(libc::SIGTERM);
            true
        })
    });
    let text = *ended.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("status 15"), "{text}");
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
}

static POOL: OnceLock<Pool> = OnceLock::new();

fn j152_a_pool_kept_only_by_a_global(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed(&format!("waits::j152_a_pool_kept_only_by_a_global::{method}"), folder.path(), |folder| {
        // All that runs on threads of the pool's: callbacks under way, hooks, signals.
        let builder = Pool::builder().workers(2).on_start(note::job()).on_stop(note::job()).on_event(|_| thread::yield_now());
        let built = build(builder, method);
        let pool = POOL.get_or_init(|| built);
        std::mem::forget(signals::shutdown_on_ctrl_c(pool).unwrap());
        let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n).on_done(|_| thread::yield_now())).unwrap()).collect();
        assert_eq!(jobs.into_iter().map(|job| job.wait().unwrap()).sum::<u64>(), 49 * 50);
        report(folder, &pool.run(pid::job()).unwrap().to_string());
    });
    let worker = process.wait_report().parse().unwrap();
    assert_eq!(process.wait().code(), Some(0), "{}", process.output());
    assert!(!process.output().contains("panicked"), "{}", process.output());
    wait_until("the worker is gone", || process_gone(worker));
}

#[mpm::worker]
fn note() {}
