//! Jobs that are tried again, in a queue that is steered: each try keeps to what holds for the job, and takes nothing of the next.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use mpm::{Job, JobError, Retry, StartMethod, Target, worker};
use mpm_tests::{Gate, wait_at, wait_until, watchdog};

use crate::marks::{folder, mark, pid, pool, started};

const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

fn at_once(times: u32) -> Retry {
    Retry::times(times).backoff(Duration::ZERO, Duration::ZERO)
}

/// Dies at its first tries, so many times, and says which try it is.
#[worker]
fn dies(times: u32) -> u32 {
    let attempt = mpm::current().attempt();
    if attempt <= times {
        std::process::abort();
    }
    attempt
}

#[mpm::test]
fn each_try_counts_for_the_rate() {
    let _watchdog = watchdog();
    const SPAN: Duration = Duration::from_millis(50);
    for method in METHODS {
        let pool = pool(2).start(method).limit_rate::<dies>(2, SPAN).build().unwrap();
        pool.run(pid::job()).unwrap();
        let began = Instant::now();
        assert_eq!(pool.run(dies::job(6).retries(at_once(6).poison_after(u32::MAX))).unwrap(), 7);
        assert!(began.elapsed() >= SPAN * 3, "seven tries begin in four spans");
    }
}

/// Whether it has the lock of this file for itself, which it keeps until it ends, in whatever way.
#[worker]
fn alone_here(place: &Path, number: u32) -> bool {
    let file = File::options().create(true).truncate(false).write(true).open(place).unwrap();
    let is_alone = file.try_lock().is_ok();
    // Of those that were not alone, none fails: the parent is to hear of it.
    match (is_alone && mpm::current().attempt() == 1, number % 4) {
        (true, 0) => std::process::abort(),
        (true, 1) => panic!("at the first try"),
        (true, 2) => drop(std::hint::black_box(vec![number; 10_000])),
        _ => {}
    }
    is_alone
}

#[mpm::test]
fn tries_that_fail_give_their_place_back_and_further_ones_take_one() {
    let _watchdog = watchdog();
    for method in METHODS {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().join("place");
        let pool = pool(3).start(method).limit_concurrency::<alone_here>(1).build().unwrap();
        let retry = at_once(3).on_panic(true);
        let job = |n: u32| {
            alone_here::job(&place, n).retries(retry.clone()).retry_if(|is_alone| !is_alone).priority((n % 3).cast_signed())
        };
        let jobs: Vec<_> = (0..60).map(|n| pool.submit(if n % 5 == 0 { job(n).key(n) } else { job(n) }).unwrap()).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            let report = job.report();
            assert!(job.wait().unwrap(), "job {n}: {report:?}");
        }
    }
}

/// Its first try waits at the gate, and dies.
#[worker]
fn dies_behind(gate: &str) -> u32 {
    let attempt = mpm::current().attempt();
    if attempt == 1 {
        wait_at(gate);
        std::process::abort();
    }
    attempt
}

#[mpm::test]
fn a_further_try_waits_while_the_pool_is_paused() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    let wait = Duration::from_millis(10);
    let job = pool.submit(dies_behind::job(&gate.path()).retries(Retry::times(1).backoff(wait, wait))).unwrap();
    gate.wait_for(1);
    pool.pause();
    gate.open();
    wait_until("its first try has failed", || job.report().attempt == 2);
    // Many times as long as it waits for the next one.
    let mut other = pool.submit(mark::job(&marks, 1, "")).unwrap();
    assert!(other.wait_timeout(10 * wait).is_none() && started(&marks).is_empty() && !job.is_finished());
    pool.resume();
    other.wait().unwrap();
    assert_eq!(job.wait().unwrap(), 2);
}

#[mpm::test]
fn expires_is_for_the_first_start() {
    let _watchdog = watchdog();
    for method in METHODS {
        let pool = pool(1).start(method).build().unwrap();
        pool.run(pid::job()).unwrap();
        let wait = Duration::from_millis(300);
        let retry = Retry::times(1).backoff(wait, wait);
        // Between its tries it waits longer than it may wait for the first; that it expires before that is possible on a busy machine.
        match pool.run(dies::job(1).retries(retry).expires(wait / 2)) {
            Ok(attempt) => assert_eq!(attempt, 2),
            Err(JobError::Expired(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[worker]
fn panics(text: &str) {
    panic!("{text}");
}

/// What holds for one job holds for no other that is run after it by the same thread.
#[mpm::test]
fn a_job_without_rules_has_none_of_the_job_before_it() {
    fn failed<F: Target<Output = ()>>(pool: &mpm::Pool, job: Job<'_, F>) -> (Option<String>, u32) {
        match pool.run(job).unwrap_err() {
            JobError::Panicked(error) => (error.tag.as_deref().map(str::to_owned), error.attempt),
            other => panic!("{other}"),
        }
    }
    let _watchdog = watchdog();
    let pool = pool(1).build().unwrap();
    for n in 0..50 {
        let steered = panics::job("steered").tag("steered").priority(n).key(n).retries(at_once(1).on_panic(true));
        assert_eq!(failed(&pool, steered), (Some("steered".to_owned()), 2));
        assert_eq!(failed(&pool, panics::job("plain")), (None, 1));
        let job = pool.submit(dies::job(1)).unwrap();
        assert!(job.wait().unwrap_err().is_died(), "nobody asked for another try");
    }
}
