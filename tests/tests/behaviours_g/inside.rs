//! What a job knows of its limits, and what it can do about them; limits of CPU time, and those of targets.

use std::time::Duration;

use mpm::{Pool, StartMethod, TimeLimit, worker};

use crate::jobs::double;
use crate::{hasty, ms, spin, timed_out};

conform!(
    a_job_extends_its_limit_by_its_progress,
    cpu_time_is_limited_and_sleep_is_not_counted,
    the_target_s_limit_holds_and_the_job_s_wins,
    what_a_job_knows_of_itself,
    other_threads_of_a_job_and_copies_of_its_worker,
);

/// Tells of its progress `steps` times, each after most of its limit, and then returns.
#[worker]
fn in_steps(steps: u64, pause: Duration) -> u64 {
    for step in 1..=steps {
        std::thread::sleep(pause); // the job's own work
        mpm::current().progress(step, steps);
    }
    steps
}

fn a_job_extends_its_limit_by_its_progress(method: StartMethod) {
    let pool = hasty(method, 1).build().unwrap();
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

fn cpu_time_is_limited_and_sleep_is_not_counted(method: StartMethod) {
    let pool = hasty(method, 1).build().unwrap();
    // Its worker has used some before.
    pool.run(burn::job(ms(60))).unwrap();
    let error = timed_out(pool.run(spin::job().cpu_time(ms(50))));
    assert_eq!((error.kind, error.limit), (TimeLimit::CpuTime, ms(50)));
    assert!(error.to_string().contains("limit of 50ms of CPU time"), "{error}");
    assert_eq!(pool.run(in_steps::job(1, ms(1_500)).cpu_time(ms(1_000))).unwrap(), 1);
}

/// Uses a CPU for so long.
#[worker]
fn burn(time: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn the_target_s_limit_holds_and_the_job_s_wins(method: StartMethod) {
    let pool = hasty(method, 1).timeout(Duration::from_secs(500)).build().unwrap();
    assert_eq!(timed_out(pool.run(limited::job())).limit, ms(25));
    assert_eq!(timed_out(pool.run(limited::job().timeout(ms(35)))).limit, ms(35));
    assert_eq!(timed_out(pool.run(spin::job().timeout(ms(15)))).limit, ms(15));
}

#[worker(timeout = "25ms")]
fn limited() {
    spin();
}

fn what_a_job_knows_of_itself(method: StartMethod) {
    let pool = Pool::builder().start(method).name("known").workers(1).build().unwrap();
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

fn other_threads_of_a_job_and_copies_of_its_worker(method: StartMethod) {
    let pool = hasty(method, 1).grace(Duration::from_secs(40)).build().unwrap();
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
