//! Jobs that are tried again: how often, after what, and what they tell.
//!
//! Longer than 300 lines, because all of it stands on one job that fails in every way.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "behaviours/jobs.rs"]
mod jobs;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jobs::{Way, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, Retry, StartMethod, worker};
use mpm_tests::{Gate, block_on, children_of, watchdog};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

conform!(a_job_that_dies_is_tried_again_in_another_worker);

/// How the first tries at a job go.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Fails {
    Dies(Way),
    Panics,
    Spins,
    Returns,
}

/// Fails so often, and then says which try it was. It notes each try in a folder.
#[worker]
fn fail_first(fails: Fails, times: u32, folder: &Path) -> Result<u32, String> {
    let attempt = mpm::current().attempt();
    std::fs::write(folder.join(format!("try {attempt} in {}", std::process::id())), "").unwrap();
    if attempt > times {
        return Ok(attempt);
    }
    match fails {
        Fails::Dies(way) => way.go(),
        Fails::Panics => panic!("at try {attempt}"),
        Fails::Spins => loop {
            std::hint::spin_loop();
        },
        Fails::Returns => {}
    }
    Err(format!("no luck at try {attempt}"))
}

/// The numbers of the tries that were noted, and how many processes there were.
fn tries(folder: &Path) -> (Vec<u32>, usize) {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut tries: Vec<(u32, u32)> = names
        .filter_map(|name| {
            let (attempt, pid) = name.strip_prefix("try ")?.split_once(" in ")?;
            Some((attempt.parse().unwrap(), pid.parse().unwrap()))
        })
        .collect();
    tries.sort_unstable();
    let pids: BTreeSet<u32> = tries.iter().map(|(_, pid)| *pid).collect();
    (tries.into_iter().map(|(attempt, _)| attempt).collect(), pids.len())
}

fn soon(times: u32) -> Retry {
    Retry::times(times).backoff(Duration::from_millis(1), Duration::from_millis(4))
}

fn a_job_that_dies_is_tried_again_in_another_worker(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = pools::build(Pool::builder().workers(2), method);
    let job = pool.submit(fail_first::job(Fails::Dies(Way::Abort), 2, folder.path()).retries(soon(2))).unwrap();
    mpm::wait_all(std::slice::from_ref(&job));
    assert_eq!(job.report().attempt, 3);
    assert_eq!(job.wait().unwrap(), Ok(3));
    assert_eq!(tries(folder.path()), (vec![1, 2, 3], 3));
}

#[mpm::test]
fn none_is_tried_again_that_does_not_ask_for_it() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(1);
    let error = pool.run(fail_first::job(Fails::Dies(Way::Abort), 1, folder.path())).unwrap_err();
    assert!(error.is_died(), "{error}");
    assert!(pool.run(fail_first::job(Fails::Dies(Way::Abort), 9, folder.path()).retries(0)).unwrap_err().is_died());
    assert_eq!(tries(folder.path()).0, [1, 1]);
}

#[mpm::test]
fn the_last_failure_is_the_outcome_and_says_which_try_it_was() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(1);
    match pool.run(fail_first::job(Fails::Dies(Way::Exit(3)), 9, folder.path()).retries(soon(1))).unwrap_err() {
        JobError::Died(death) => {
            assert_eq!((death.attempt, death.how.code()), (2, Some(3)), "{death}");
            assert!(death.to_string().contains("attempt 2"), "{death}");
        }
        error => panic!("{error}"),
    }
}

#[mpm::test]
fn a_poison_job_tells_of_all_its_deaths() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(2);
    let neighbours: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
    let error = pool.run(fail_first::job(Fails::Dies(Way::Segfault), 99, folder.path()).retries(soon(50))).unwrap_err();
    let JobError::Poisoned(poisoned) = &error else { panic!("{error}") };
    assert_eq!(poisoned.deaths.iter().map(|death| death.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(poisoned.deaths.iter().all(|death| death.how.signal() == Some(libc::SIGSEGV)));
    assert!(error.to_string().contains("has killed 3 workers and is not tried again"), "{error}");
    neighbours.into_iter().for_each(|job| assert!(job.wait().is_ok()));
    let retry = soon(50).poison_after(1);
    let error = pool.run(fail_first::job(Fails::Dies(Way::Kill), 99, folder.path()).retries(retry)).unwrap_err();
    assert!(matches!(&error, JobError::Poisoned(poisoned) if poisoned.deaths.len() == 1), "{error}");
}

#[mpm::test]
fn causes_are_chosen() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
    let run = |fails, retry: Retry| {
        pool.run(fail_first::job(fails, 1, folder.path()).retries(retry).timeout(match fails {
            Fails::Spins => Duration::from_millis(20),
            _ => Duration::MAX,
        }))
    };
    assert!(run(Fails::Panics, soon(3)).unwrap_err().is_panicked());
    assert_eq!(run(Fails::Panics, soon(3).on_panic(true)).unwrap(), Ok(2));
    // The limit holds for each try, and on a busy machine the second may not come to its end in time either.
    assert!(matches!(run(Fails::Spins, soon(1_000)).unwrap(), Ok(2..)));
    assert!(run(Fails::Spins, soon(3).on_timeout(false)).unwrap_err().is_timed_out());
    assert!(run(Fails::Dies(Way::Kill), soon(3).on_death(false)).unwrap_err().is_died());
    assert_eq!(run(Fails::Returns, soon(3)).unwrap(), Err("no luck at try 1".to_owned()), "a value is a value");
}

#[mpm::test]
fn a_returned_error_is_judged() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(1);
    let job = |times| fail_first::job(Fails::Returns, times, folder.path()).retries(soon(2));
    let again = |result: &Result<u32, String>| result.as_ref().is_err_and(|error| error.contains("no luck"));
    assert_eq!(pool.run(job(2).retry_if(again)).unwrap(), Ok(3));
    assert_eq!(pool.run(job(9).retry_if(again)).unwrap(), Err("no luck at try 3".to_owned()), "the last one is the outcome");
    assert_eq!(pool.run(job(9).retry_if(|_| panic!("a judge who panics"))).unwrap(), Err("no luck at try 1".to_owned()));
    // By all who wait, on several jobs at once.
    let jobs: Vec<_> = (0..20).map(|n| pool.submit(job(n % 3).retry_if(again)).unwrap()).collect();
    mpm::wait_all(&jobs);
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.wait().unwrap(), Ok(n as u32 % 3 + 1));
    }
    assert_eq!(block_on(pool.submit(job(1).retry_if(again)).unwrap()).unwrap(), Ok(2));
    // The judge may use the pool: it runs under no lock.
    std::thread::scope(|scope| {
        let (pool, job) = (&pool, job(1));
        scope.spawn(move || assert_eq!(pool.run(job.retry_if(|result| result.is_err())).unwrap(), Ok(2)));
    });
}

#[mpm::test]
fn large_arguments_come_again() {
    let _watchdog = watchdog();
    let pool = pool_of(1);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    assert_eq!(pool.run(sum_at_second_try::job(&bytes).retries(soon(1))).unwrap(), sum);
}

#[worker]
fn sum_at_second_try(bytes: &[u8]) -> u64 {
    if mpm::current().attempt() == 1 {
        Way::Kill.go();
    }
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[mpm::test]
fn the_target_s_and_the_pool_s_retries() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).retries(soon(2)).build().unwrap();
    assert_eq!(pool.run(by_attribute::job()).unwrap(), 2);
    let folder = TempDir::new().unwrap();
    assert_eq!(pool.run(fail_first::job(Fails::Dies(Way::Abort), 2, folder.path())).unwrap(), Ok(3));
    let outcomes: Vec<_> = pool.map::<by_attribute>((0..5).map(|_| ())).collect();
    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok_and(|attempt| attempt == 2)));
}

#[worker(retries = 1)]
fn by_attribute() -> u32 {
    let attempt = mpm::current().attempt();
    if attempt == 1 {
        std::process::abort();
    }
    attempt
}

#[mpm::test]
fn a_job_that_waits_for_its_next_try_can_be_cancelled_and_blocks_nobody() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(1);
    let patient = Retry::times(3).backoff(Duration::from_secs(3_000), Duration::from_secs(3_000));
    let waits = pool.submit(fail_first::job(Fails::Dies(Way::Kill), 9, folder.path()).retries(patient.clone())).unwrap();
    // Its worker has died when another one does this.
    let first = children_of(std::process::id());
    let other = pool.run(pid::job()).unwrap();
    assert!(!first.contains(&other) || first.len() > 1 || tries(folder.path()).0.len() <= 1);
    mpm_tests::wait_until("the first try is over", || tries(folder.path()).0.len() == 1);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    mpm_tests::wait_until("it is taken back", || waits.cancel());
    assert_eq!(waits.report().attempt, 1, "it had no second one");
    assert!(waits.wait().unwrap_err().is_cancelled());
    // And one that waits when the pool is shut down.
    let waits = pool.submit(fail_first::job(Fails::Dies(Way::Kill), 9, folder.path()).retries(patient)).unwrap();
    mpm_tests::wait_until("the next first try is over", || tries(folder.path()).0.len() == 2);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    pool.shutdown(Duration::from_secs(100));
    let error = waits.wait().unwrap_err();
    assert!(error.is_cancelled() || error.is_died(), "{error}");
}

#[mpm::test]
fn join_waits_for_the_next_tries() {
    let _watchdog = watchdog();
    for workers in worker_counts() {
        let folder = TempDir::new().unwrap();
        let pool = pool_of(workers);
        let again = |result: &Result<u32, String>| result.is_err();
        let dies = pool.submit(fail_first::job(Fails::Dies(Way::Kill), 2, folder.path()).retries(soon(5))).unwrap();
        let returns = pool.submit(fail_first::job(Fails::Returns, 2, folder.path()).retries(soon(5)).retry_if(again)).unwrap();
        pool.join();
        assert_eq!((dies.wait().unwrap(), returns.wait().unwrap()), (Ok(3), Ok(3)));
    }
}

#[mpm::test]
fn a_full_queue_counts_those_that_wait_for_their_next_try() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = Pool::builder().workers(1).queue(1).build().unwrap();
    let patient = Retry::times(1).backoff(Duration::from_secs(3_000), Duration::from_secs(3_000));
    let waits = pool.submit(fail_first::job(Fails::Dies(Way::Kill), 9, folder.path()).retries(patient)).unwrap();
    mpm_tests::wait_until("the queue is full of it", || match pool.try_submit(pass::job(&gate.path())) {
        Ok(job) => {
            assert!(job.abort());
            false
        }
        Err(error) => error.is_full(),
    });
    assert!(waits.cancel());
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
}

/// At its first try it ends as it is asked to; at its second it takes longer than the staged end of the first would have.
#[worker]
fn asked_then_slow(first: Duration) -> u32 {
    let current = mpm::current();
    let start = std::time::Instant::now();
    while current.attempt() == 1 || start.elapsed() < first {
        if current.attempt() == 1 {
            current.checkpoint();
        }
        std::hint::spin_loop();
    }
    current.attempt()
}

#[mpm::test]
fn the_end_of_one_try_does_not_hit_the_next() {
    let _watchdog = watchdog();
    // After half of it SIGTERM comes.
    let pool = Pool::builder().workers(1).grace(Duration::from_secs(3)).build().unwrap();
    let long = Duration::from_millis(2_000);
    let goes_on = || {
        let first = pool.run(pid::job()).unwrap();
        let outcome = pool.run(asked_then_slow::job(long).timeout(2 * long).retries(soon(1)));
        matches!(outcome, Ok(2)) && pool.run(pid::job()).unwrap() == first
    };
    // A machine that stalls at the wrong moment for longer than that makes one of them fail, but not each.
    assert!((0..4).any(|_| goes_on()), "its worker goes on");
}

#[mpm::test]
fn an_aborted_job_has_no_further_try() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = Pool::builder().workers(1).grace(Duration::from_millis(40)).build().unwrap();
    let job = pool.submit(fail_first::job(Fails::Spins, 9, folder.path()).retries(soon(5).on_panic(true))).unwrap();
    mpm_tests::wait_until("it runs", || tries(folder.path()).0.len() == 1);
    assert!(job.abort());
    assert!(job.wait().unwrap_err().is_cancelled());
    // While it is asked to end because it is overdue, and while it waits for its next try.
    for wait in [Duration::from_millis(1), Duration::from_secs(3_000)] {
        let retry = Retry::times(u32::MAX).backoff(wait, wait);
        let timeout = Duration::from_millis(30);
        let before = tries(folder.path()).0.len();
        let job = pool.submit(fail_first::job(Fails::Spins, u32::MAX, folder.path()).retries(retry).timeout(timeout)).unwrap();
        mpm_tests::wait_until("it runs", || tries(folder.path()).0.len() > before || job.report().attempt > 1);
        assert!(job.abort());
        let error = job.wait().unwrap_err();
        assert!(error.is_cancelled() || error.is_timed_out(), "{error}");
    }
    let count = tries(folder.path()).0.len();
    assert_eq!(pool.run(double::job(2)).unwrap(), 4);
    assert_eq!(tries(folder.path()).0.len(), count, "none is tried again");
}

#[mpm::test]
fn a_broadcast_run_that_dies_is_over_with_its_worker() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let pool = pool_of(2);
    let runs = pool.broadcast(fail_first::job(Fails::Dies(Way::Kill), 9, folder.path()).retries(soon(3))).unwrap();
    assert_eq!(runs.len(), 2);
    for (worker, run) in runs {
        mpm::wait_all(std::slice::from_ref(&run));
        assert_eq!(run.report().attempt, 1, "{worker}: there was no second try");
        match run.wait().unwrap_err() {
            JobError::Died(death) => assert_eq!(death.attempt, 1, "{death}"),
            error => panic!("{worker}: {error}"),
        }
    }
    pool.join();
}
