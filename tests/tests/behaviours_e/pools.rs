//! Behaviours 85, 86 and 89: pools that have failed for good, and pools whose handle is gone.

use std::process;
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, Leaks, process_gone, templates_of, wait_until};
use tempfile::TempDir;

use crate::jobs::{Way, pass, pid, worker_counts};
use crate::{check_how, death, nobody_is_left, pool_of};

conform!(
    e85_a_failed_pool_is_stable,
    e86_workers_that_cannot_start_fail_the_jobs_that_wait,
    e89_the_pool_is_dropped_and_then_a_job_crashes,
);

fn e85_a_failed_pool_is_stable(method: StartMethod) {
    for workers in worker_counts() {
        let pool = Pool::builder().start(method).workers(workers).cwd("/no/such/folder").build().unwrap();
        let reason = match pool.run(pid::job()) {
            Err(JobError::PoolFailed(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason.contains("/no/such/folder") && reason.contains("mpm-"), "{reason}");
        for _ in 0..10 {
            let refused = pool.submit(pid::job()).unwrap_err();
            assert!(refused.is_failed() && !refused.is_closed() && refused.to_string().contains(&*reason), "{refused}");
            assert!(pool.try_submit(pid::job()).unwrap_err().is_failed());
            assert!(matches!(pool.run(pid::job()), Err(JobError::PoolFailed(again)) if again == reason));
            assert!(pool.map::<pid>([()]).all(|outcome| matches!(outcome, Err(JobError::PoolFailed(_)))));
        }
        let error = mpm::Error::from(pool.submit(pid::job()).unwrap_err());
        assert!(error.is_failed() && error.to_string().contains("/no/such/folder"), "{error}");
        pool.join();
        pool.kill();
        assert!(pool.submit(pid::job()).unwrap_err().is_failed(), "the reason outlives the end");
        assert!(pool_of(method, workers).run(pid::job()).is_ok(), "another pool is another pool");
    }
}

fn e86_workers_that_cannot_start_fail_the_jobs_that_wait(method: StartMethod) {
    let first = pool_of(method, 1);
    first.run(pid::job()).unwrap();
    let templates = templates_of(process::id());
    drop(first);
    if method == StartMethod::Fork {
        wait_until("its template is gone", || templates.iter().all(|pid| process_gone(*pid)));
    }
    let leaks = Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
    for workers in worker_counts() {
        let pool = Pool::builder().start(method).workers(workers).queue(100).cwd("/no/such/folder").build().unwrap();
        let jobs: Vec<_> = (0..50).map_while(|_| pool.submit(pid::job()).ok()).collect();
        for job in jobs {
            assert!(matches!(job.wait(), Err(JobError::PoolFailed(_))));
        }
        drop(pool);
        nobody_is_left(method);
    }
    leaks.check();
}

fn e89_the_pool_is_dropped_and_then_a_job_crashes(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().start(method).workers(6).grace(Duration::from_secs(3600)).build().unwrap();
    let good: Vec<_> = (0..5).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    let bad = pool.submit(pass_then_die::job(&path)).unwrap();
    gate.wait_for(6);
    let pids: Vec<_> = good.iter().filter_map(|job| job.report().pid).chain(bad.report().pid).collect();
    thread::scope(|scope| {
        scope.spawn(|| drop(pool));
        gate.open();
    });
    assert!(good.into_iter().all(|job| job.wait().is_ok()));
    check_how(&death(bad.wait()), Err((libc::SIGSEGV, "SIGSEGV")));
    assert!(pids.len() == 6 && pids.into_iter().all(process_gone));
}

#[worker]
fn pass_then_die(gate: &str) {
    mpm_tests::wait_at(gate);
    Way::NullWrite.go();
}
