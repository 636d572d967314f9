//! Behaviour 91: a worker that is stopped, and not dead. Those of a pool that looks for such workers are in group I.

use std::fs;
use std::time::Duration;

use mpm::{JobError, StartMethod};
use mpm_tests::{Gate, kill, process_gone, wait_until};
use tempfile::TempDir;

use crate::jobs::{pass, pid};
use crate::pool_of;

conform!(e91_a_stopped_worker_ends_with_the_pool, e91_a_stopped_worker_goes_on_where_it_was,);

fn e91_a_stopped_worker_ends_with_the_pool(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    for round in 1..=2 {
        let pool = pool_of(method, 2);
        let job = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(round);
        let busy = job.report().pid.unwrap();
        kill(busy, libc::SIGSTOP);
        let idle = pool.run(pid::job()).unwrap();
        kill(idle, libc::SIGSTOP);
        if round == 1 {
            pool.kill()
        } else {
            pool.shutdown(Duration::from_millis(10))
        }
        assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
        assert!(process_gone(busy) && process_gone(idle));
    }
}

fn e91_a_stopped_worker_goes_on_where_it_was(method: StartMethod) {
    let pool = pool_of(method, 1);
    let worker = pool.run(pid::job()).unwrap();
    kill(worker, libc::SIGSTOP);
    wait_until("every thread of the worker stands still", || {
        let threads = fs::read_dir(format!("/proc/{worker}/task")).unwrap().flatten();
        threads.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap()).all(|stat| stat.contains(") T "))
    });
    let mut job = pool.submit(pid::job()).unwrap();
    assert!(job.wait_timeout(Duration::from_millis(50)).is_none());
    kill(worker, libc::SIGCONT);
    assert_eq!(job.wait().unwrap(), worker);
}
