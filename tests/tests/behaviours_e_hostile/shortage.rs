//! Behaviours 78 and 92: threads that end their process, and threads and descriptors that are not to be had.

use std::fs;
use std::process;

use mpm::{HowItEnded, JobError, Phase, Pool, StartMethod, worker};
use mpm_tests::{Leaks, limit_descriptors};

use crate::jobs::{double, pid};
use crate::pool_of;

conform!(
    e92_no_descriptors_left,
    e78_a_thread_of_the_job_ends_the_process,
);

fn e92_no_descriptors_left(method: StartMethod) {
    pool_of(method, 1).run(double::job(1)).unwrap();
    let leaks = Leaks::baseline().allow_threads(&["mpm-"]);
    let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    for room in (0..40).rev() {
        limit_descriptors(used + room);
        let Ok(pool) = Pool::builder().start(method).workers(4).build() else { continue };
        // With some workers, or with none and the reason.
        match pool.run(double::job(4)) {
            Ok(value) => assert_eq!(value, 8),
            Err(JobError::PoolFailed(reason)) => assert!(reason.contains("start worker"), "{reason}"),
            Err(other) => panic!("{other}"),
        }
        drop(pool);
    }
    leaks.check();
}

#[worker]
fn exits_from_a_thread() {
    std::thread::spawn(|| process::exit(6));
    loop {
        std::thread::park();
    }
}

fn e78_a_thread_of_the_job_ends_the_process(method: StartMethod) {
    let pool = pool_of(method, 1);
    match pool.run(exits_from_a_thread::job()) {
        Err(JobError::Died(death)) => assert_eq!((death.how, death.phase), (HowItEnded::Exited(6), Phase::Running)),
        other => panic!("{other:?}"),
    }
    assert!(pool.run(pid::job()).is_ok());
}
