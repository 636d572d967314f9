//! Behaviours, group G: limits of time.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::fs;
use std::process;
use std::time::Duration;

use jobs::{double, pass, pid, pool_of, worker_counts};
use mpm::{Builder, DidRun, JobError, Pool, StartMethod, TimeLimit, TimedOut, worker};
use mpm_tests::{Gate, alone, block_signal, children_of, process_gone, wait_until, watchdog};
use tempfile::TempDir;

const METHODS: [StartMethod; 3] = [StartMethod::Spawn, StartMethod::Fork, StartMethod::ForkServer];

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A pool whose overdue jobs end soon.
fn hasty(workers: usize) -> Builder {
    Pool::builder().workers(workers).grace(ms(40))
}

#[track_caller]
fn timed_out<R: std::fmt::Debug>(outcome: Result<R, JobError>) -> TimedOut {
    match outcome {
        Err(JobError::TimedOut(error)) => *error,
        other => panic!("{other:?}"),
    }
}

/// Never ends by itself, and never looks whether it should.
#[worker]
fn spin() -> u32 {
    eprintln!("spinning");
    while std::hint::black_box(true) {
        std::hint::spin_loop();
    }
    process::id()
}

/// As `spin`, and heeds no SIGTERM.
#[worker]
fn spin_stubbornly() {
    block_signal(libc::SIGTERM);
    spin();
}

/// Ends as it is asked to: by a value, or at a checkpoint.
#[worker]
fn until_asked(by_value: bool) -> (u32, u32) {
    let current = mpm::current();
    while !current.is_cancelled() {
        std::hint::spin_loop();
    }
    if !by_value {
        current.checkpoint();
    }
    (process::id(), current.attempt())
}

/// A child that outlives its worker's job, and where its number stands.
#[worker]
fn with_a_child(file: &str) {
    let mut child = process::Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
    spin();
    child.wait().unwrap();
}

/// Tells of its progress `steps` times, each after most of its limit, and then returns.
#[worker]
fn in_steps(steps: u64, pause: Duration) -> u64 {
    for step in 1..=steps {
        std::thread::sleep(pause); // the job's own work
        mpm::current().progress(step, steps);
    }
    steps
}

#[mpm::test]
fn hard_timeout() {
    let _watchdog = watchdog();
    for method in METHODS.into_iter().filter(|method| *method != StartMethod::Fork) {
        let pool = hasty(1).start(method).build().unwrap();
        let first = pool.run(pid::job()).unwrap();
        let error = timed_out(pool.run(spin::job().timeout(ms(30))));
        assert_eq!((error.pid, error.kind, error.limit, error.attempt), (first, TimeLimit::Time, ms(30), 1), "{error}");
        assert!(error.elapsed >= ms(30) && error.did_run == DidRun::Maybe, "{error:?}");
        assert_eq!(error.how.as_ref().and_then(mpm::HowItEnded::signal), Some(libc::SIGTERM), "{error}");
        assert_eq!(error.stderr, ["spinning"]);
        assert!(error.to_string().contains("exceeded its limit of 30ms in worker mpm-0"), "{error}");
        let next = pool.run(pid::job()).unwrap();
        assert_ne!(next, first, "the worker is replaced");
    }
}

#[mpm::test]
fn the_limit_counts_from_the_start_of_the_job() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = hasty(1).build().unwrap();
    let before = pool.submit(pass::job(&gate.path())).unwrap();
    // It waits longer than it may run.
    let mut after = pool.submit(double::job(4).timeout(ms(200))).unwrap();
    gate.wait_for(1);
    assert!(after.wait_timeout(ms(400)).is_none());
    gate.open();
    before.wait().unwrap();
    assert_eq!(after.wait().unwrap(), 8);
}

#[mpm::test]
fn separate_queue_deadline() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(1);
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

#[mpm::test]
fn soft_then_hard() {
    let _watchdog = watchdog();
    for method in METHODS.into_iter().filter(|method| *method != StartMethod::Fork) {
        let pool = Pool::builder().workers(1).start(method).grace(Duration::from_secs(40)).build().unwrap();
        let first = pool.run(pid::job()).unwrap();
        // A job that cleans up returns normally.
        assert_eq!(pool.run(until_asked::job(true).timeout(ms(10))).unwrap(), (first, 1));
        // One that ends itself has the typed end, and its worker goes on.
        let error = timed_out(pool.run(until_asked::job(false).timeout(ms(10))));
        assert!(error.how.is_none() && error.pid == first, "{error:?}");
        assert!(error.to_string().ends_with("it ended itself, as it was asked to"), "{error}");
        assert_eq!(pool.run(pid::job()).unwrap(), first);
    }
    // The one that ignores it dies: `hard_timeout`.
}

#[mpm::test]
fn sigterm_ignored() {
    let _watchdog = watchdog();
    let pool = hasty(1).build().unwrap();
    let error = timed_out(pool.run(spin_stubbornly::job().timeout(ms(10))));
    assert_eq!(error.how.and_then(|how| how.signal()), Some(libc::SIGKILL));
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[mpm::test]
fn without_grace_a_job_is_killed_at_once() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
    let error = timed_out(pool.run(spin::job().timeout(ms(10))));
    assert_eq!(error.how.and_then(|how| how.signal()), Some(libc::SIGKILL));
}

#[mpm::test]
fn the_whole_process_group_ends() {
    alone("the_whole_process_group_ends", || {
        let _watchdog = watchdog();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("child");
        let pool = hasty(1).build().unwrap();
        // Long enough for the child to be there on a slow machine; what counts is that it goes.
        timed_out(pool.run(with_a_child::job(file.to_str().unwrap()).timeout(ms(500))));
        if let Ok(child) = fs::read_to_string(&file) {
            let child = child.parse().unwrap();
            wait_until("the job's child is gone", || process_gone(child));
        }
    });
}

#[mpm::test]
fn blocked_in_foreign_code() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = hasty(1).build().unwrap();
    // In a system call, where nobody asks whether he should end.
    timed_out(pool.run(pass::job(&gate.path()).timeout(ms(20))));
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[mpm::test]
fn mixed() {
    let _watchdog = watchdog();
    for workers in worker_counts() {
        let pool = hasty(workers).build().unwrap();
        let jobs: Vec<_> = (0..6).map(|n| pool.submit(either::job(n % 2 == 1).timeout(ms(60))).unwrap()).collect();
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

#[mpm::test]
fn timeout_sweep_during_churn() {
    let _watchdog = watchdog();
    let pool = hasty(2).build().unwrap();
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

#[mpm::test]
fn waiter_timeout_is_not_a_job_timeout() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool_of(1);
    let mut job = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(job.wait_timeout(ms(10)).is_none());
    gate.open();
    assert_eq!(job.wait().unwrap(), pool.run(pid::job()).unwrap());
}

#[mpm::test]
fn in_a_map_the_limit_is_that_of_each_job() {
    let _watchdog = watchdog();
    let pool = hasty(2).timeout(ms(60)).build().unwrap();
    let outcomes: Vec<_> = pool.map::<either>((0..300).map(|n| n == 150)).collect();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert!(n != 150 && value == 7),
            Err(error) => assert!(n == 150 && error.is_timed_out(), "{n}: {error}"),
        }
    }
}

#[mpm::test]
fn bad_limits() {
    let _watchdog = watchdog();
    let pool = pool_of(1);
    for job in [double::job(1).timeout(ms(0)), double::job(1).cpu_time(ms(0)), double::job(1).expires(ms(0))] {
        let error = pool.submit(job).unwrap_err();
        assert!(error.to_string().contains("zero") || error.to_string().contains("expires(0)"), "{error}");
        assert!(!error.is_full() && !error.is_closed() && !error.is_failed());
    }
    let error = Pool::builder().timeout(ms(0)).build().unwrap_err();
    assert!(error.to_string().contains("Builder::timeout(0)"), "{error}");
    // Without end, and longer than any clock counts, are no limits.
    assert_eq!(pool.run(double::job(1).timeout(Duration::MAX).expires(Duration::MAX)).unwrap(), 2);
    assert_eq!(
        pool.run(double::job(1).timeout(Duration::from_secs(u64::MAX / 2)).expires(Duration::from_secs(u64::MAX / 2))).unwrap(),
        2
    );
}

#[mpm::test]
fn a_job_extends_its_limit_by_its_progress() {
    let _watchdog = watchdog();
    let pool = hasty(1).build().unwrap();
    // Three times as long as it may take without a word.
    let mut job = pool.submit(in_steps::job(6, ms(200)).timeout(ms(400))).unwrap();
    let mut seen = Vec::new();
    let outcome = loop {
        if let Some(outcome) = job.wait_timeout(ms(20)) {
            break outcome;
        }
        seen.extend(job.progress());
    };
    match outcome {
        Ok(steps) => assert_eq!(steps, 6),
        // A machine may stall for so long between two steps.
        Err(error) => assert!(error.is_timed_out(), "{error}"),
    }
    assert!(seen.is_sorted() && seen.iter().all(|(done, total)| (1..=6).contains(done) && *total == 6), "{seen:?}");
    assert_eq!(pool.submit(double::job(2)).unwrap().progress(), None);
}

#[mpm::test]
fn cpu_time_is_limited_and_sleep_is_not_counted() {
    let _watchdog = watchdog();
    let pool = hasty(1).build().unwrap();
    // Its worker has used some before.
    pool.run(burn::job(ms(60))).unwrap();
    let error = timed_out(pool.run(spin::job().cpu_time(ms(50))));
    assert_eq!((error.kind, error.limit), (TimeLimit::CpuTime, ms(50)));
    assert!(error.to_string().contains("limit of 50ms of CPU time"), "{error}");
    assert_eq!(pool.run(in_steps::job(1, ms(150)).cpu_time(ms(100))).unwrap(), 1);
}

/// Uses a CPU for so long.
#[worker]
fn burn(time: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[mpm::test]
fn the_target_s_limit_holds_and_the_job_s_wins() {
    let _watchdog = watchdog();
    let pool = hasty(1).timeout(Duration::from_secs(500)).build().unwrap();
    assert_eq!(timed_out(pool.run(limited::job())).limit, ms(25));
    assert_eq!(timed_out(pool.run(limited::job().timeout(ms(35)))).limit, ms(35));
    assert_eq!(timed_out(pool.run(spin::job().timeout(ms(15)))).limit, ms(15));
}

#[worker(timeout = "25ms")]
fn limited() {
    spin();
}

#[mpm::test]
fn what_a_job_knows_of_itself() {
    let _watchdog = watchdog();
    let pool = Pool::builder().name("known").workers(1).build().unwrap();
    let job = pool.submit(describe::job().timeout(Duration::from_secs(100))).unwrap();
    let id = job.id();
    let (worker, index, job, attempt, left) = job.wait().unwrap();
    assert_eq!((worker.as_str(), index, job, attempt), ("known-0", Some(0), Some(id), 1));
    let left = left.unwrap();
    assert!(left <= Duration::from_secs(100) && left > Duration::from_secs(30), "{left:?}");
    assert_eq!(pool.run(describe::job()).unwrap().4, None);
    let ids: Vec<_> = pool.map::<id>((0..500).map(|_| ())).collect::<Result<_, _>>().unwrap();
    assert!(ids.iter().is_sorted() && ids.first() < ids.last(), "each job of a map knows its own id");
    // As a plain function it is nobody's job.
    let (_, index, job, attempt, left) = describe();
    assert_eq!((index, job, attempt, left), (None, None, 1, None));
    mpm::current().checkpoint();
}

type Description = (String, Option<u32>, Option<u64>, u32, Option<Duration>);

#[worker]
fn describe() -> Description {
    let current = mpm::current();
    let left = current.deadline().map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
    (current.worker(), current.index(), current.job(), current.attempt(), left)
}

#[worker]
fn id() -> u64 {
    mpm::current().job().unwrap()
}

#[mpm::test]
fn other_threads_of_a_job_and_copies_of_its_worker() {
    let _watchdog = watchdog();
    let pool = hasty(1).grace(Duration::from_secs(40)).build().unwrap();
    assert!(pool.run(asked_on_another_thread::job().timeout(ms(20))).unwrap());
    let statuses = pool.run(ask_in_a_copy::job()).unwrap();
    assert!(statuses, "in a copy of the worker it is nobody's job");
}

#[worker]
fn asked_on_another_thread() -> bool {
    let current = mpm::current();
    std::thread::spawn(move || {
        while !current.is_cancelled() {
            std::hint::spin_loop();
        }
        true
    })
    .join()
    .unwrap()
}

#[worker]
fn ask_in_a_copy() -> bool {
    let current = mpm::current();
    mpm_tests::in_forked_copy(move || {
        current.progress(1, 2);
        !current.is_cancelled() && current.job().is_none() && mpm::current().job().is_none()
    })
}

#[mpm::test]
fn jobs_with_limits_behind_one_that_is_ended_lose_nothing() {
    let _watchdog = watchdog();
    let pool = hasty(1).build().unwrap();
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
