//! Behaviours 104 and 108 to 112: limits of some jobs beside jobs without or with others, of those who wait, and of what makes no sense.

use std::fs;
use std::future::{Future, IntoFuture};
use std::process;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{Gate, children_of, watchdog};
use tempfile::TempDir;

use crate::jobs::{double, pass, pid, worker_counts};
use crate::{hasty, ms, pool_of, spin, timed_out};

conform!(
    g104_separate_queue_deadline,
    g108_mixed,
    g109_timeout_sweep_during_churn,
    g110_waiter_timeout_is_not_a_job_timeout,
    g110_a_waiter_that_vanishes,
    g111_in_a_map_the_limit_is_that_of_each_job,
    g112_bad_limits,
    jobs_with_limits_behind_one_that_is_ended_lose_nothing,
);

fn g104_separate_queue_deadline(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(method, 1);
    let before = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    let mark = folder.path().join("ran");
    let expires = pool.submit(note::job(mark.to_str().unwrap()).expires(ms(20))).unwrap();
    let error = expires.wait().unwrap_err();
    assert!(error.is_expired(), "{error}");
    assert!(error.to_string().contains("no worker had started it within 20ms"), "{error}");
    // One that has been started does not expire.
    let runs = pool.submit(pass::job(&gate.path()).expires(Duration::from_secs(1_000))).unwrap();
    gate.open();
    before.wait().unwrap();
    runs.wait().unwrap();
    assert!(!mark.exists(), "it never ran");
}

#[worker]
fn note(path: &str) {
    fs::write(path, "ran").unwrap();
}

fn g108_mixed(method: StartMethod) {
    for workers in worker_counts() {
        let pool = hasty(method, workers).build().unwrap();
        let limit = |n| if n % 2 == 1 { ms(60) } else { Duration::from_secs(100) };
        let jobs: Vec<_> = (0..6).map(|n| pool.submit(either::job(n % 2 == 1).timeout(limit(n))).unwrap()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            match job.wait() {
                Ok(value) => assert_eq!((n % 2, value), (0, 7)),
                Err(error) => assert!(n % 2 == 1 && error.is_timed_out(), "{n}: {error}"),
            }
        }
    }
}

#[worker]
fn either(spins: bool) -> u32 {
    if spins { spin() } else { 7 }
}

fn g109_timeout_sweep_during_churn(method: StartMethod) {
    let pool = hasty(method, 2).build().unwrap();
    let mut spinning = Vec::new();
    for round in 0..10 {
        spinning.push(pool.submit(spin::job().timeout(ms(1 + round))).unwrap());
        let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n).timeout(Duration::from_secs(100))).unwrap()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), 2 * n as u64);
        }
    }
    for job in spinning {
        timed_out(job.wait());
    }
}

fn g110_waiter_timeout_is_not_a_job_timeout(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(method, 1);
    let mut job = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(job.wait_timeout(ms(10)).is_none());
    gate.open();
    assert_eq!(job.wait().unwrap(), pool.run(pid::job()).unwrap());
}

/// Whoever waited is gone, in each way to wait: the job goes on, and neither its worker nor its place in the queue is lost.
fn g110_a_waiter_that_vanishes(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).queue(3).start(method).build().unwrap();
        for round in 0..4 {
            let gate = Gate::new(folder.path(), &format!("gate-{workers}-{round}"));
            let path = gate.path();
            let mut jobs: Vec<_> = (0..workers + 3).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
            gate.wait_for(workers as u64);
            let mut waited = jobs.pop().unwrap();
            assert!(waited.wait_timeout(ms(1)).is_none());
            let mut polled = Box::pin(jobs.pop().unwrap().into_future());
            assert!(polled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(!mpm::wait_all_timeout(&jobs, ms(1)));
            drop((waited, polled));
            // Of one that runs, too.
            drop(jobs);
            gate.open();
            gate.wait_for(workers as u64 + 3);
            let all: Vec<_> = (0..workers + 3).map(|n| pool.submit(double::job(n as u64)).unwrap()).collect();
            assert!((0..).zip(all).all(|(n, job)| job.wait().unwrap() == 2 * n));
        }
    }
}

fn g111_in_a_map_the_limit_is_that_of_each_job(method: StartMethod) {
    let pool = hasty(method, 2).timeout(Duration::from_secs(3)).build().unwrap();
    let outcomes: Vec<_> = pool.map::<either>((0..300).map(|n| n == 150)).collect();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert!(n != 150 && value == 7),
            Err(error) => assert!(n == 150 && error.is_timed_out(), "{n}: {error}"),
        }
    }
}

fn g112_bad_limits(method: StartMethod) {
    let pool = pool_of(method, 1);
    for job in [double::job(1).timeout(ms(0)), double::job(1).cpu_time(ms(0)), double::job(1).expires(ms(0))] {
        let error = pool.submit(job).unwrap_err();
        assert!(error.to_string().contains("zero") || error.to_string().contains("expires(0)"), "{error}");
        assert!(!error.is_full() && !error.is_closed() && !error.is_failed());
    }
    let error = Pool::builder().start(method).timeout(ms(0)).build().unwrap_err();
    assert!(error.to_string().contains("Builder::timeout(0)"), "{error}");
    // Without end, and longer than any clock counts, are no limits.
    assert_eq!(pool.run(double::job(1).timeout(Duration::MAX).expires(Duration::MAX)).unwrap(), 2);
    assert_eq!(
        pool.run(double::job(1).timeout(Duration::from_secs(u64::MAX / 2)).expires(Duration::from_secs(u64::MAX / 2))).unwrap(),
        2
    );
}

fn jobs_with_limits_behind_one_that_is_ended_lose_nothing(method: StartMethod) {
    let pool = hasty(method, 1).build().unwrap();
    // Short ones, so that those behind are looked ahead into the link.
    (0..200).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
    let spinning = pool.submit(spin::job().timeout(ms(20))).unwrap();
    let jobs: Vec<_> = (0..100).map(|n| pool.submit(double::job(n).timeout(Duration::from_secs(100))).unwrap()).collect();
    timed_out(spinning.wait());
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.wait().unwrap(), 2 * n as u64);
    }
    let workers = children_of(process::id()).len();
    assert!(workers > 0);
}

/// Runs for so long; it may end itself when it is asked to.
#[worker]
fn run_for(time: Duration, heeds: bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        if heeds {
            mpm::current().checkpoint();
        }
        std::hint::spin_loop();
    }
}

#[mpm::test]
fn g103_what_ends_a_job_at_its_limit_does_not_hit_the_next() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
    // About as long as it may take: its end and its limit come together.
    let start = Instant::now();
    for round in (0..2_000_u64).take_while(|_| start.elapsed() < Duration::from_secs(60)) {
        // Short ones, so that those behind are looked ahead into the link.
        (0..20).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
        let time = Duration::from_micros(900 + round * 37 % 900);
        let first = pool.submit(run_for::job(time, round % 2 == 0).timeout(ms(1))).unwrap();
        let behind = [(); 4].map(|()| pool.submit(run_for::job(Duration::from_micros(100), false)).unwrap());
        behind.into_iter().for_each(|job| job.wait().unwrap());
        if let Err(error) = first.wait() {
            assert!(error.is_timed_out(), "{error}");
        }
    }
}
