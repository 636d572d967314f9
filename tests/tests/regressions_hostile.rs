//! Mistakes that were made once, found by jobs and callers that meant harm.

use mpm::{JobError, Pool, worker};
use mpm_tests::{alone, fork_and_return, in_forked_copy, join_the_parents_group, limit_file_size, watchdog};

#[worker]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
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
        match pool.run(length::job(&vec![1; 3_000_000])) {
            Err(JobError::Encode(error)) => assert!(error.reason.contains("ulimit -f"), "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
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
