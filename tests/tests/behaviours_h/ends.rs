//! Behaviour 116: what a shutdown takes back and what it lets finish; and running jobs that are aborted or asked meanwhile.

use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, wait_until};
use tempfile::TempDir;

use crate::pools::{build, pass};
use crate::{arrive_and_check, arrive_and_return, arrive_and_spin};

conform!(
    h116_cancel_pending_at_shutdown,
    h116_abort_while_the_pool_ends,
    h116_a_shutdown_asks_the_running_jobs_to_end,
    h116_a_shutdown_asks_the_job_behind_one_that_was_asked,
    h116_a_shutdown_asks_the_running_job_of_a_map,
);

/// Of fifty jobs, some have ended when the shutdown begins, some run, and all others wait.
fn h116_cancel_pending_at_shutdown(method: StartMethod) {
    for workers in [1, 2, 5] {
        let folder = TempDir::new().unwrap();
        let [first, second] = ["first", "second"].map(|name| Gate::new(folder.path(), name));
        let (open, closed) = (first.path(), second.path());
        first.open();
        let pool = build(Pool::builder().workers(workers), method);
        let path_of = |n| if n < workers { &open } else { &closed };
        let jobs: Vec<_> = (0..50).map(|n| pool.submit(pass::job(path_of(n))).unwrap()).collect();
        // The first ones are through, the next ones wait at their gate.
        second.wait_for(workers as u64);
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown(Duration::from_secs(3600)));
            // Taken back at once, whatever runs still. Which of them run is the workers' business.
            let ended = || jobs.iter().filter(|job| job.is_finished()).count();
            wait_until("all are taken back that wait", || ended() == 50 - workers);
            second.open();
        });
        let outcomes: Vec<_> = jobs.into_iter().map(mpm::JobHandle::wait).collect();
        let cancelled = outcomes.iter().filter(|outcome| matches!(outcome, Err(JobError::Cancelled(_)))).count();
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!((done, cancelled), (2 * workers, 50 - 2 * workers), "the rest is done without error");
        assert_eq!(second.arrived(), workers as u64, "what was taken back has not run");
    }
}

fn h116_abort_while_the_pool_ends(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1).grace(Duration::from_millis(20)), method);
    let job = pool.submit(arrive_and_spin::job(&gate.path(), false)).unwrap();
    gate.wait_for(1);
    thread::scope(|scope| {
        scope.spawn(|| pool.join());
        assert!(job.abort());
    });
    assert!(job.wait().unwrap_err().is_cancelled());
}

fn h116_a_shutdown_asks_the_running_jobs_to_end(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(2), method);
    let checks = pool.submit(arrive_and_check::job(&gate.path())).unwrap();
    let returns = pool.submit(arrive_and_return::job(&gate.path())).unwrap();
    gate.wait_for(2);
    pool.shutdown(Duration::from_secs(100));
    let error = checks.wait().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("the pool ends, and the job ended itself"), "{error}");
    assert!(returns.wait().unwrap());
}

fn h116_a_shutdown_asks_the_job_behind_one_that_was_asked(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|name| Gate::new(folder.path(), name));
    // Long enough for the next step of the first one's end never to be due.
    let pool = build(Pool::builder().workers(1).grace(Duration::from_secs(3600)), method);
    let error = pool.run(arrive_and_check::job(&first.path()).timeout(Duration::from_millis(50))).unwrap_err();
    assert!(error.is_timed_out(), "{error}");
    let returns = pool.submit(arrive_and_return::job(&second.path())).unwrap();
    second.wait_for(1);
    pool.shutdown(Duration::from_secs(100));
    assert!(returns.wait().unwrap());
}

/// So many short jobs come before the one of a map that is asked.
const SHORT: usize = 3_000;

/// With a gate it ends at a checkpoint, else it is short.
#[worker]
fn check_at(gate: &str) -> u64 {
    if !gate.is_empty() {
        arrive_and_check(gate);
    }
    mpm::current().job().unwrap()
}

fn h116_a_shutdown_asks_the_running_job_of_a_map(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1), method);
    let path = gate.path();
    // Many short ones before it, so that it travels together with others.
    let gate_of = |n| if n == SHORT { path.as_str() } else { "" };
    let mut outcomes = pool.map::<check_at>((0..SHORT + 50).map(gate_of));
    let ids: Vec<_> = outcomes.by_ref().take(SHORT).map(Result::unwrap).collect();
    gate.wait_for(1);
    pool.shutdown(Duration::from_secs(100));
    let ended = outcomes.next().unwrap();
    let Err(JobError::Cancelled(ended)) = ended else { panic!("{ended:?}") };
    assert!(ended.reason.contains("the pool ends, and the job ended itself"), "{ended:?}");
    assert_eq!(ended.job, ids.last().unwrap() + 1);
    assert!(outcomes.all(|outcome| outcome.is_err_and(|error| error.is_cancelled())), "what has not begun is taken back");
}
