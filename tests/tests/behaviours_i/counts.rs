//! Behaviours 119 and 121 to 126: a worker has its number of jobs and goes, whatever else happens then.

use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::Gate;
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::wait_for_workers;

conform!(
    i119_max_jobs,
    i119_max_jobs_with_jitter,
    i121_close_early_with_limit_1,
    i122_join_while_the_last_worker_hits_its_limit,
    i123_forced_kill_while_a_worker_hits_its_limit,
    i124_failing_job_and_limit_1_and_join,
    i126_the_last_result_before_recycling_is_not_lost,
);

fn i119_max_jobs(method: StartMethod) {
    let pool = build(Pool::builder().workers(1).max_jobs(3), method);
    let mut of_before = 0;
    for _ in 0..4 {
        let pids = [(); 3].map(|()| pool.run(pid::job()).unwrap());
        assert!(pids[0] == pids[1] && pids[1] == pids[2] && pids[0] != of_before, "{pids:?} after {of_before}");
        of_before = pids[0];
        // The one that has had its jobs goes; one is left.
        wait_for_workers(1);
    }
    let pool = build(Pool::builder().workers(1).max_jobs(2), method);
    let mut pids: Vec<_> = (0..4).map(|_| pool.run(pid::job()).unwrap()).collect();
    pids.dedup();
    assert_eq!(pids.len(), 2);
}

/// Each worker has a number of its own, between the limit and that and its jitter.
fn i119_max_jobs_with_jitter(method: StartMethod) {
    let pool = build(Pool::builder().workers(1).max_jobs(4).max_jobs_jitter(1.0), method);
    let mut pids: Vec<_> = (0..120).map(|_| pool.run(pid::job()).unwrap()).collect();
    let last = pids.pop();
    pids.retain(|pid| Some(*pid) != last);
    let runs: Vec<_> = pids.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
    assert!(runs.len() >= 10 && runs.iter().all(|jobs| (4..=8).contains(jobs)), "{runs:?}");
    assert!(runs.iter().any(|jobs| *jobs != runs[0]), "all alike: {runs:?}");
}

fn i121_close_early_with_limit_1(method: StartMethod) {
    for _ in 0..5 {
        let pool = build(Pool::builder().workers(3).max_jobs(1), method);
        let jobs: Vec<_> = (0..6).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        pool.join();
        assert!(jobs.into_iter().map(|job| job.wait().unwrap()).eq((0..6).map(|n| 2 * n)));
        wait_for_workers(0);
    }
}

fn i122_join_while_the_last_worker_hits_its_limit(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = build(Pool::builder().workers(1).max_jobs(1), method);
    let first = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let rest: Vec<_> = (0..5).map(|_| pool.submit(pid::job()).unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| pool.join());
        gate.open();
    });
    let mut pids = vec![first.wait().unwrap()];
    pids.extend(rest.into_iter().map(|job| job.wait().unwrap()));
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 6, "a process for each job");
    wait_for_workers(0);
}

fn i123_forced_kill_while_a_worker_hits_its_limit(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for round in 0..12 {
        let gate = Gate::new(folder.path(), &format!("gate {round}"));
        let path = gate.path();
        let pool = build(Pool::builder().workers(2).max_jobs(1), method);
        let mut jobs: Vec<_> = (0..2).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(2);
        jobs.extend((0..10).map(|_| pool.submit(pass::job(&path)).unwrap()));
        if round % 2 == 1 {
            gate.open();
            // In the middle of it: one is replaced, another may be.
            assert!(jobs.remove(0).wait().is_ok());
        }
        pool.kill();
        // Nobody escapes.
        wait_for_workers(0);
        for job in jobs {
            match job.wait() {
                Ok(_) if round % 2 == 1 => {}
                Err(error @ JobError::Cancelled(_)) => {
                    let text = error.to_string();
                    assert!(["pool was shut down", "pool was killed", "pool ended"].iter().any(|end| text.contains(end)), "{text}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[worker]
fn fails(n: u32) -> u32 {
    assert!(n.is_multiple_of(2), "on purpose");
    n
}

fn i124_failing_job_and_limit_1_and_join(method: StartMethod) {
    for workers in [2, 4] {
        let pool = build(Pool::builder().workers(workers).max_jobs(1), method);
        let jobs: Vec<_> = (0..8).map(|n| pool.submit(fails::job(n)).unwrap()).collect();
        pool.join();
        for (n, job) in (0..).zip(jobs) {
            match job.wait() {
                Ok(value) => assert!(value == n && n % 2 == 0),
                Err(JobError::Panicked(panicked)) => assert!(n % 2 == 1 && panicked.message == "on purpose"),
                Err(error) => panic!("{error}"),
            }
        }
        wait_for_workers(0);
    }
}

#[worker]
fn bytes(n: u8, len: usize) -> Vec<u8> {
    vec![n; len]
}

fn i126_the_last_result_before_recycling_is_not_lost(method: StartMethod) {
    for (limit, len) in [(1, 3), (1, 300_000), (2, 3), (2, 300_000)] {
        let pool = build(Pool::builder().workers(2).max_jobs(limit), method);
        let inputs = (0..30).map(|n| (n, len));
        for (n, outcome) in (0..).zip(pool.map::<bytes>(inputs)) {
            assert_eq!(outcome.unwrap(), vec![n; len]);
        }
        // Nobody takes the results in until their workers have long gone.
        let jobs: Vec<_> = (0..8).map(|n| pool.submit(bytes::job(n, len)).unwrap()).collect();
        assert!(mpm_tests::readable(&[], Some(Duration::from_millis(20))).is_empty());
        assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == vec![n; len]));
    }
}
