//! Behaviours 137, 138 and 144: an end that does not wait, or not for long.

use std::fs;
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, process_gone, wait_at, wait_until};
use tempfile::TempDir;

use crate::jobs::worker_counts;
use crate::pools::{build, pass, pid, pool_of};
use crate::{LONG, is_cancelled};

conform!(
    j137_bounded_join,
    j137_a_shutdown_that_does_not_wait_long,
    j137_a_second_end_hurries_the_first,
    j138_terminate_with_ten_thousand_jobs_queued,
    j144_a_killed_job_never_comes_to_its_second_step,
);

/// To wait for a pool for some time only is to wait for its jobs for that time. That ends nothing; a stop does, also beside a join.
fn j137_bounded_join(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers, method);
        let mut jobs: Vec<_> = (0..2 * workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let short = Duration::from_millis(20);
        assert!(!mpm::wait_all_timeout(&jobs, short) && jobs[0].wait_timeout(short).is_none());
        assert!(jobs.iter().all(|job| !job.is_finished()), "they go on");
        thread::scope(|scope| {
            let joins = scope.spawn(|| pool.join());
            wait_until("the pool is closed", || pool.try_submit(pid::job()).is_err_and(|refused| refused.is_closed()));
            assert!(!mpm::wait_all_timeout(&jobs, short) && !joins.is_finished());
            pool.shutdown(Duration::ZERO);
            joins.join().unwrap();
        });
        assert!(mpm::wait_all_timeout(&jobs, short));
        assert!(jobs.into_iter().all(|job| is_cancelled(&job.wait())));
        assert_eq!(gate.arrived(), workers as u64);
    }
}

fn j137_a_shutdown_that_does_not_wait_long(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers, method);
        let jobs: Vec<_> = (0..3 * workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let pids: Vec<u32> = jobs.iter().filter_map(|job| job.report().pid).collect();
        pool.shutdown(Duration::from_millis(20));
        assert!(pids.len() >= workers && pids.into_iter().all(process_gone));
        for job in jobs {
            let id = job.id();
            let outcome = job.wait();
            let Err(JobError::Cancelled(cancelled)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((cancelled.job, cancelled.target), (id, pass::NAME));
        }
    }
}

fn j137_a_second_end_hurries_the_first(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for (at, first) in [Pool::join, |pool: &Pool| pool.shutdown(LONG)].into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{at}"));
        let path = gate.path();
        let pool = pool_of(1, method);
        let jobs = [pool.submit(pass::job(&path)).unwrap(), pool.submit(pass::job(&path)).unwrap()];
        gate.wait_for(1);
        thread::scope(|scope| {
            let waits = scope.spawn(|| first(&pool));
            wait_until("the pool is closed", || pool.try_submit(pid::job()).is_err());
            pool.kill();
            waits.join().unwrap();
        });
        assert!(jobs.into_iter().all(|job| is_cancelled(&job.wait())));
    }
}

/// By each way that does not wait for them.
fn j138_terminate_with_ten_thousand_jobs_queued(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let ends: [fn(Pool); 3] = [|pool| pool.kill(), |pool| pool.shutdown(Duration::from_millis(10)), drop];
    for (n, (end, workers)) in ends.into_iter().zip(worker_counts()).enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{n}"));
        let path = gate.path();
        let pool = build(Pool::builder().workers(workers).queue(10_000).grace(Duration::ZERO), method);
        let jobs: Vec<_> = (0..10_000).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let pids: Vec<u32> = jobs.iter().filter_map(|job| job.report().pid).collect();
        end(pool);
        assert!(pids.len() >= workers && pids.into_iter().all(process_gone));
        assert!(jobs.into_iter().all(|job| is_cancelled(&job.wait())));
        assert_eq!(gate.arrived(), workers as u64, "none has started since");
    }
}

#[worker]
fn two_steps(gate: &str, file: &str) {
    wait_at(gate);
    fs::write(file, "").unwrap();
}

fn j144_a_killed_job_never_comes_to_its_second_step(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let (path, file) = (gate.path(), folder.path().join("second"));
        let pool = pool_of(workers, method);
        let job = pool.submit(two_steps::job(&path, file.to_str().unwrap())).unwrap();
        gate.wait_for(1);
        let worker = job.report().pid.unwrap();
        pool.kill();
        assert!(process_gone(worker));
        gate.open();
        assert!(is_cancelled(&job.wait()) && !file.exists());
    }
    // Nothing to kill: a pool that was never used, and one that has failed.
    pool_of(1, method).kill();
    let failed = build(Pool::builder().workers(1).cwd("/no/such/folder"), method);
    assert!(failed.run(pid::job()).is_err());
    failed.kill();
    assert!(failed.submit(pid::job()).unwrap_err().is_failed());
}
