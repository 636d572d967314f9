//! Mistakes that were made once, found by jobs and callers that meant harm.

use std::fs;

use mpm::{DidRun, HowItEnded, JobError, Pool, StartMethod, WorkerExit, worker};
use mpm_tests::{
    Gate, alone, alone_with_one_thread, close_descriptor, fork_and_return, in_forked_copy, join_the_parents_group, limit_file_size,
    wait_at, watchdog,
};

#[worker]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

/// Goes through two gates, and closes the worker's end of its control socket between them.
#[worker]
fn closes_its_socket(before: &str, after: &str) {
    wait_at(before);
    let numbers = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| {
        let is_socket = fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        entry.file_name().to_str()?.parse().ok().filter(|_| is_socket)
    });
    numbers.collect::<Vec<i32>>().into_iter().for_each(close_descriptor);
    wait_at(after);
}

/// A pool of one worker that is given jobs ahead, since its jobs are short.
fn pool_that_looks_ahead() -> Pool {
    let pool = Pool::builder().workers(1).build().unwrap();
    for n in 0..20 {
        assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1);
    }
    pool
}

#[worker]
fn joins_the_parents_group() -> Option<i32> {
    join_the_parents_group()
}

#[worker]
fn forks_and_returns() -> bool {
    fork_and_return()
}

#[worker]
fn calls_init(n: u64) -> u64 {
    mpm::init();
    n
}

/// A worker that had left its group could neither be killed with it nor by the lifeline.
#[mpm::test]
fn a_worker_cannot_leave_its_group_for_its_parents() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(pool.run(joins_the_parents_group::job()).unwrap(), Some(libc::EPERM));
    pool.kill();
}

/// The copy answered too, and the parent believed whichever came first.
#[mpm::test]
fn a_job_that_forks_and_returns_twice_has_the_outcome_of_the_worker() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    for n in 0..20 {
        assert!(!pool.run(forks_and_returns::job()).unwrap(), "the copy's value");
        assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1);
    }
}

/// The token was looked at again.
#[mpm::test]
fn init_in_a_job_does_nothing() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(pool.run(calls_init::job(7)).unwrap(), 7);
}

/// The system ended the parent by SIGXFSZ.
#[mpm::test]
fn a_payload_above_the_limit_on_files_is_the_jobs_error() {
    alone("a_payload_above_the_limit_on_files_is_the_jobs_error", || {
        limit_file_size(500_000);
        let pool = Pool::builder().workers(1).build().unwrap();
        // The worker that would have got it is there for the next job, each time.
        for _ in 0..3 {
            match pool.run(length::job(&vec![1; 3_000_000])) {
                Err(JobError::Encode(error)) => assert!(error.reason.contains("ulimit -f"), "{error}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
        }
    });
}

/// The threads that serve a process are not in its copy, and were waited for.
#[mpm::test]
fn a_forked_copy_can_have_a_pool_of_its_own() {
    alone("a_forked_copy_can_have_a_pool_of_its_own", || {
        let pool = Pool::builder().workers(1).build().unwrap();
        assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
        let worked = in_forked_copy(|| {
            let own = Pool::builder().workers(2).build().unwrap();
            (0..50).all(|n| own.run(add::job(n, 1)).is_ok_and(|sum| sum == n + 1))
        });
        assert!(worked);
        assert_eq!(pool.run(add::job(3, 4)).unwrap(), 7);
    });
}

/// Whether copies of the worker stand for no job, one made before the job has asked who it is and one after that; and its own number.
#[worker]
fn asks_who_it_is() -> (bool, bool, Option<u64>) {
    let stands_for_none = || in_forked_copy(|| mpm::current().job().is_none() && !mpm::current().is_cancelled());
    let before = stands_for_none();
    let here = mpm::current();
    (before, stands_for_none() && in_forked_copy(|| here.job().is_none()), here.job())
}

/// Each worker finds out when a job first asks, and a copy may ask before that.
#[mpm::test]
fn a_forked_copy_of_a_worker_stands_for_no_job() {
    alone_with_one_thread("a_forked_copy_of_a_worker_stands_for_no_job", || {
        for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
            let pool = Pool::builder().workers(1).start(method).build().unwrap();
            for _ in 0..3 {
                let job = pool.submit(asks_who_it_is::job()).unwrap();
                let number = job.id();
                assert_eq!(job.wait().unwrap(), (true, true, Some(number)), "{method}");
            }
        }
    });
}

/// The report said that something had written over the memory of the link.
#[mpm::test]
fn a_job_that_closes_the_socket_under_the_next_one_is_told_of() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| Gate::new(folder.path(), name));
    let pool = pool_that_looks_ahead();
    let closes = pool.submit(closes_its_socket::job(&before.path(), &after.path())).unwrap();
    before.wait_for(1);
    let next = pool.submit(length::job(&vec![1; 100_000])).unwrap();
    let is_looked_ahead = next.report().worker.is_some();
    before.open();
    after.open();
    closes.wait().unwrap();
    match next.wait() {
        Err(JobError::Died(death)) => {
            assert_eq!(death.how, HowItEnded::Exited(WorkerExit::LinkDamaged.code()), "{death}");
            assert_eq!(death.did_run, DidRun::No, "{death}");
            assert!(death.to_string().contains("its link could not be used any more"), "{death}");
            assert!(death.stderr.last().is_some_and(|line| line.contains("the arguments cannot be read")), "{death}");
        }
        // Where jobs took long, the pool did not look ahead, and another worker had it.
        Ok(length) if !is_looked_ahead => assert_eq!(length, 100_000),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
}

/// The report said nothing of why the worker was killed.
#[mpm::test]
fn a_job_that_is_killed_because_it_closed_its_socket_is_told_so() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| Gate::new(folder.path(), name));
    let pool = pool_that_looks_ahead();
    let closes = pool.submit(closes_its_socket::job(&before.path(), &after.path())).unwrap();
    before.open();
    after.wait_for(1);
    // The pool finds out when it sends the descriptor of large arguments ahead.
    let next = pool.submit(length::job(&vec![1; 100_000])).unwrap();
    after.open();
    match closes.wait() {
        Err(JobError::Died(death)) => {
            assert_eq!(death.did_run, DidRun::Maybe, "{death}");
            assert_eq!(death.ended_by_pool.as_deref(), Some("it closed its control socket"), "{death}");
        }
        // Where jobs took long, the pool did not look ahead, and so found out later.
        other => other.unwrap(),
    }
    assert_eq!(next.wait().unwrap(), 100_000);
}
