//! Workers that cannot start, or die again and again: a pool makes do with those that it has, waits longer each time, and fails with the
//! reason where none is left or a limit is hit. Whoever waits learns of it at once, in whatever way he waits.

use std::fs;
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, block_on, call_of, kill, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::wait_for_workers;

conform!(
    a_start_that_always_crashes_ends_the_pool_with_the_reason,
    the_restart_limit_ends_a_pool_that_still_has_a_worker,
    a_pool_makes_do_with_those_that_it_has,
    whoever_waits_is_released_by_the_restart_limit,
);

const LONG: Duration = Duration::from_secs(3600);

/// What is to be preloaded, and crashes.
#[worker]
fn crashes() {
    mpm_tests::raise(libc::SIGABRT);
}

fn a_start_that_always_crashes_ends_the_pool_with_the_reason(method: StartMethod) {
    for limit in [None, Some(0), Some(2)] {
        let builder = Pool::builder().workers(2).preload(crashes::job());
        let builder = match limit {
            Some(count) => builder.restart_limit(count, LONG),
            None => builder,
        };
        let pool = build(builder, method);
        // It may have failed before that.
        let jobs: Vec<_> = (0..10).map_while(|_| pool.submit(pid::job()).ok()).collect();
        for outcome in jobs.into_iter().map(mpm::JobHandle::wait).chain([pool.run(pid::job())]) {
            let Err(JobError::PoolFailed(reason)) = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("SIGABRT"), "{reason}");
        }
        assert!(pool.submit(pid::job()).unwrap_err().is_failed());
    }
}

/// A pool of two workers, one of which has a job at the gate; no other can be started any more.
struct Last {
    pool: Pool,
    running: mpm::JobHandle<u32>,
    gate: Gate,
    folder: TempDir,
}

impl Last {
    fn new(method: StartMethod, set: impl FnOnce(mpm::Builder) -> mpm::Builder) -> Self {
        let folder = TempDir::new().unwrap();
        let needed = folder.path().join("needed");
        fs::create_dir(&needed).unwrap();
        let pool = build(set(Pool::builder().workers(2).cwd(&needed)), method);
        let both = wait_for_workers(2);
        // Both have come to their first job, and so are ready.
        let gates = ["first", "second"].map(|name| Gate::new(folder.path(), name));
        let [running, other] = [0, 1].map(|n: usize| {
            let job = pool.submit(pass::job(&gates[n].path())).unwrap();
            gates[n].wait_for(1);
            job
        });
        fs::remove_dir(&needed).unwrap();
        let victim = other.report().pid.unwrap();
        assert!(both.contains(&victim));
        kill(victim, libc::SIGKILL);
        assert!(other.wait().unwrap_err().is_died());
        let [gate, _] = gates;
        Self { pool, running, gate, folder }
    }
}

fn the_restart_limit_ends_a_pool_that_still_has_a_worker(method: StartMethod) {
    let last = Last::new(method, |builder| builder.restart_limit(3, LONG));
    let Err(JobError::PoolFailed(reason)) = last.pool.run(double::job(1)) else { panic!("it goes on") };
    assert!(reason.starts_with("more than 3 workers within") && reason.contains("needed"), "{reason}");
    last.gate.open();
    assert!(last.running.wait().is_ok(), "what runs may end");
}

fn a_pool_makes_do_with_those_that_it_has(method: StartMethod) {
    let Last { pool, running, gate, folder } = Last::new(method, |builder| builder);
    let still = running.report().pid.unwrap();
    gate.open();
    assert_eq!(running.wait().unwrap(), still);
    // Long enough for more failures than a pool without a worker would take.
    for _ in 0..10 {
        assert!(mpm_tests::readable(&[], Some(Duration::from_millis(100))).is_empty());
        assert_eq!(pool.run(pid::job()).unwrap(), still);
    }
    fs::create_dir(folder.path().join("needed")).unwrap();
    assert!(wait_for_workers(2).contains(&still));
}

/// A way to wait, and what is to come of it.
type Way<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Each in a thread of its own, where all find the queue full, or have a job in it.
fn whoever_waits_is_released_by_the_restart_limit(method: StartMethod) {
    let last = Last::new(method, |builder| builder.queue(3));
    let pool = &last.pool;
    let is_reason = |outcome: Result<u64, JobError>| match outcome {
        Err(JobError::PoolFailed(reason)) => assert!(reason.starts_with("more than 5 workers within"), "{reason}"),
        other => panic!("{other:?}"),
    };
    // Jobs that take long are not handed to a worker that has one.
    let [polled, waited, listed] = [(); 3].map(|()| pool.submit(double::job(1)).unwrap());
    assert!(pool.try_submit(double::job(2)).unwrap_err().is_full());
    let ways: [(&str, Way<'_>); 7] = [
        ("runs", Box::new(|| is_reason(pool.run(double::job(1))))),
        ("maps", Box::new(|| pool.map::<double>(0..3).for_each(is_reason))),
        ("unordered", Box::new(|| pool.map_unordered::<double>(0..3).for_each(|(_, outcome)| is_reason(outcome)))),
        ("submits", Box::new(|| assert!(pool.submit(double::job(1)).unwrap_err().is_failed()))),
        ("polls", Box::new(|| is_reason(block_on(polled)))),
        (
            "waits",
            Box::new(|| {
                mpm::wait_all(std::slice::from_ref(&waited));
                is_reason(waited.wait());
            }),
        ),
        ("lists", Box::new(|| mpm::as_completed([listed]).for_each(|(_, outcome)| is_reason(outcome)))),
    ];
    let names = ways.each_ref().map(|(name, _)| *name);
    thread::scope(|scope| {
        let threads = ways.map(|(name, way)| thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, way).unwrap());
        wait_until("all sleep", || names.iter().all(|name| call_of(name).is_some()));
        let mut limits = pool.limits();
        limits.restart_limit = Some((5, LONG));
        pool.set_limits(limits).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    last.gate.open();
    assert!(last.running.wait().is_ok());
    last.pool.join();
    wait_for_workers(0);
}
