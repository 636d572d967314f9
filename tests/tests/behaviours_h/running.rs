//! Behaviour 114: a running job is ended by force, or not at all.

use std::time::Duration;

use mpm::{Pool, StartMethod};
use mpm_tests::{Gate, block_on, process_gone};
use tempfile::TempDir;

use crate::pools::{build, pass, pid};
use crate::{arrive_and_check, arrive_and_return, arrive_and_spin};

conform!(h114_running_forced, h114_running_not_forced, h114_running_that_heeds_it, h114_abort_of_an_awaited_job_wakes_the_task,);

fn h114_running_forced(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1).grace(Duration::from_millis(40)), method);
    for stubborn in [false, true] {
        let first = pool.run(pid::job()).unwrap();
        let before = gate.arrived();
        let job = pool.submit(arrive_and_spin::job(&gate.path(), stubborn)).unwrap();
        gate.wait_for(before + 1);
        assert!(!job.cancel(), "not forced");
        assert!(job.abort());
        assert!(job.abort() || job.is_finished(), "as long as it has not ended");
        let error = job.wait().unwrap_err();
        assert!(error.is_cancelled() && error.to_string().contains("ended it and its worker"), "{error}");
        assert_ne!(pool.run(pid::job()).unwrap(), first);
        assert!(process_gone(first));
    }
}

fn h114_running_not_forced(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1), method);
    let job = pool.submit(pass::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(!job.cancel());
    gate.open();
    assert_eq!(job.wait().unwrap(), pool.run(pid::job()).unwrap());
}

fn h114_running_that_heeds_it(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1).grace(Duration::from_secs(40)), method);
    let first = pool.run(pid::job()).unwrap();
    let job = pool.submit(arrive_and_check::job(&gate.path())).unwrap();
    gate.wait_for(1);
    assert!(job.abort());
    let error = job.wait().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("it ended itself"), "{error}");
    let job = pool.submit(arrive_and_return::job(&gate.path())).unwrap();
    gate.wait_for(2);
    assert!(job.abort());
    assert!(job.wait().unwrap(), "a value that it returns before it is killed counts");
    assert_eq!(pool.run(pid::job()).unwrap(), first, "the worker goes on");
}

fn h114_abort_of_an_awaited_job_wakes_the_task(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = build(Pool::builder().workers(1).grace(Duration::ZERO), method);
    let job = pool.submit(arrive_and_spin::job(&gate.path(), false)).unwrap();
    gate.wait_for(1);
    assert!(job.abort());
    assert!(block_on(job).unwrap_err().is_cancelled());
}
