//! Behaviour 120, and limits that change while the pool runs: what makes no sense is refused, what is lowered or raised holds.

use std::collections::BTreeMap;
use std::time::Duration;

use mpm::{Builder, Limits, Pool, StartMethod};
use mpm_tests::{Gate, alone, in_forked_copy};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::{wait_for_another, wait_for_workers};

conform!(limits_change_on_a_live_pool, every_limit_at_once);

/// Sets something in a builder.
type Set = fn(Builder) -> Builder;

#[mpm::test]
fn i120_bad_limits() {
    alone("limits::i120_bad_limits", || {
        let bad: [(&str, Set); 14] = [
            ("max_jobs(0)", |b| b.max_jobs(0)),
            ("max_jobs_jitter", |b| b.max_jobs(5).max_jobs_jitter(-0.5)),
            ("max_jobs_jitter", |b| b.max_jobs_jitter(1.5)),
            ("max_jobs_jitter", |b| b.max_jobs_jitter(f64::NAN)),
            ("max_age(0)", |b| b.max_age(Duration::ZERO)),
            ("max_idle(0)", |b| b.max_idle(Duration::ZERO)),
            ("max_rss(0)", |b| b.max_rss(0)),
            ("max_rss_hard(0)", |b| b.max_rss_hard(0)),
            ("recycle_share", |b| b.recycle_share(f64::NAN)),
            ("recycle_share", |b| b.recycle_share(1.01)),
            ("unresponsive(0)", |b| b.unresponsive(Duration::ZERO)),
            ("restart_limit", |b| b.restart_limit(5, Duration::ZERO)),
            ("workers(0)", |b| b.workers(0)),
            ("workers(3..=2)", |b| b.workers(std::ops::RangeInclusive::new(3, 2))),
        ];
        for (words, set) in bad {
            let error = set(Pool::builder()).build().unwrap_err();
            assert!(error.is_setting() && error.to_string().starts_with(&format!("Builder::{words}")), "{error}");
        }
        let pool = Pool::builder().workers(1).max_jobs(7).build().unwrap();
        let before = pool.limits();
        assert_eq!(before.max_jobs, Some(7));
        let bad: [fn(&mut Limits); 5] = [
            |limits| limits.max_jobs = Some(0),
            |limits| limits.max_jobs_jitter = f64::NEG_INFINITY,
            |limits| limits.max_age = Some(Duration::ZERO),
            |limits| limits.recycle_share = 2.0,
            |limits| limits.max_rss = Some(0),
        ];
        for change in bad {
            let mut limits = before.clone();
            change(&mut limits);
            let error = pool.set_limits(limits).unwrap_err();
            assert!(error.is_setting() && error.to_string().starts_with("Limits::"), "{error}");
            assert_eq!(pool.limits(), before, "nothing is changed");
        }
        // A copy of the process has no pool to change.
        assert!(in_forked_copy(|| {
            let refused = [pool.set_limits(before.clone()), pool.resize(2), pool.wait_restarted()];
            pool.restart();
            refused.iter().all(|result| result.as_ref().is_err_and(mpm::Error::is_failed)) && pool.limits() == before
        }));
        assert_eq!(pool.run(double::job(2)).unwrap(), 4);
    });
}

fn limits_change_on_a_live_pool(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(1), method);
    let set = |max_jobs| {
        let mut limits = pool.limits();
        limits.max_jobs = max_jobs;
        pool.set_limits(limits).unwrap();
    };
    let first = pool.run(pid::job()).unwrap();
    assert!((0..9).all(|_| pool.run(pid::job()).unwrap() == first));
    // It has had more already.
    set(Some(5));
    let second = wait_for_another(&pool, first);
    assert!((0..4).all(|_| pool.run(pid::job()).unwrap() == second));
    let third = pool.run(pid::job()).unwrap();
    assert_ne!(third, second);
    // What a worker was told at its start it keeps to; the next ones know no limit.
    set(None);
    assert!((0..4).all(|_| pool.run(pid::job()).unwrap() == third));
    let fourth = pool.run(pid::job()).unwrap();
    assert!(fourth != third && (0..20).all(|_| pool.run(pid::job()).unwrap() == fourth));
    // Lowered in the middle of a job, to what it has had then.
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let behind: Vec<_> = (0..10).map(|_| pool.submit(pid::job()).unwrap()).collect();
    set(Some(22));
    gate.open();
    assert_eq!(running.wait().unwrap(), fourth);
    let mut had: BTreeMap<u32, u32> = BTreeMap::new();
    behind.into_iter().for_each(|job| *had.entry(job.wait().unwrap()).or_default() += 1);
    assert!(had.values().sum::<u32>() == 10 && had.get(&fourth).is_none_or(|jobs| *jobs <= 10), "{had:?}");
    pool.join();
    wait_for_workers(0);
}

/// All of them, so low that workers come and go all the time.
fn every_limit_at_once(method: StartMethod) {
    let builder = Pool::builder().workers(1..=3).max_jobs(40).max_jobs_jitter(0.5).max_age(Duration::from_millis(20));
    let builder = builder.max_idle(Duration::from_millis(5)).max_rss(1 << 40).max_rss_hard(1 << 41).recycle_share(1.0);
    let builder = builder.unresponsive(Duration::from_secs(30)).restart_limit(1_000, Duration::from_secs(60)).queue(4_096);
    let pool = build(builder, method);
    for round in 0..4 {
        let jobs: Vec<_> = (0..400).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        match round {
            1 => pool.resize(1..=2).unwrap(),
            2 => pool.restart(),
            _ => pool.resize(0..=4).unwrap(),
        }
        assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == 2 * n));
        assert!(pool.map::<double>(0..1_000).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
    }
    pool.join();
    wait_for_workers(0);
}
