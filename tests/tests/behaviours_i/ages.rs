//! Behaviour 133: a worker that is too old is replaced between jobs, never in one, and never without a successor.

use std::fs;
use std::time::Duration;

use mpm::{Pool, StartMethod};
use mpm_tests::{Gate, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::{wait_for_another, wait_for_workers};

conform!(
    i133_max_age,
    i133_an_idle_worker_gets_old_too,
    i133_who_has_no_successor_stays,
    i133_no_job_is_lost_where_workers_are_short_lived,
);

const NOW: Option<Duration> = Some(Duration::from_nanos(1));

fn set_age(pool: &Pool, age: Option<Duration>) {
    let mut limits = pool.limits();
    limits.max_age = age;
    pool.set_limits(limits).unwrap();
}

fn i133_max_age(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(1), method);
    for round in 0..3 {
        let gate = Gate::new(folder.path(), &format!("gate {round}"));
        let path = gate.path();
        let old = pool.run(pid::job()).unwrap();
        let running = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        set_age(&pool, NOW);
        // The successor waits for the job's end.
        let both = wait_for_workers(2);
        assert!(both.contains(&old));
        set_age(&pool, None);
        let behind = pool.submit(pid::job()).unwrap();
        gate.open();
        assert_eq!(running.wait().unwrap(), old, "it is not cut short");
        assert!(both.contains(&behind.wait().unwrap()));
        let new = wait_for_another(&pool, old);
        assert!(both.contains(&new), "the one that was ready");
        assert_eq!(wait_for_workers(1).into_iter().collect::<Vec<_>>(), [new]);
    }
}

fn i133_an_idle_worker_gets_old_too(method: StartMethod) {
    let pool = build(Pool::builder().workers(3).max_age(Duration::from_millis(150)), method);
    let before = wait_for_workers(3);
    wait_until("all are others", || crate::workers().is_disjoint(&before));
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
}

fn i133_who_has_no_successor_stays(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let needed = folder.path().join("needed");
    fs::create_dir(&needed).unwrap();
    let pool = build(Pool::builder().workers(1).cwd(&needed), method);
    let old = pool.run(pid::job()).unwrap();
    fs::remove_dir(&needed).unwrap();
    set_age(&pool, NOW);
    // Some successors have come and gone in this time.
    let time = Duration::from_millis(400);
    assert!(mpm_tests::readable(&[], Some(time)).is_empty());
    assert!((0..100).all(|_| pool.run(pid::job()).unwrap() == old));
    fs::create_dir(&needed).unwrap();
    let new = wait_for_another(&pool, old);
    set_age(&pool, None);
    assert_ne!(new, old);
}

/// Under a stream of jobs of all kinds, workers of some milliseconds of life.
fn i133_no_job_is_lost_where_workers_are_short_lived(method: StartMethod) {
    let builder = Pool::builder().workers(2).max_age(Duration::from_millis(5)).recycle_share(1.0).queue(512);
    let pool = build(builder, method);
    for _ in 0..3 {
        assert!(pool.map::<double>(0..3_000).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
        let jobs: Vec<_> = (0..300).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == 2 * n));
        assert!((0..200).all(|n| pool.run(double::job(n)).unwrap() == 2 * n));
        assert_eq!(pool.map_unordered::<double>(0..300).filter(|(_, outcome)| outcome.is_ok()).count(), 300);
    }
    pool.join();
}
