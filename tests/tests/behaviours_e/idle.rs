//! Behaviour 76: a worker is killed that has no job, or has not even started.

use std::collections::BTreeSet;
use std::process;

use mpm::{JobError, StartMethod};
use mpm_tests::{children_of, kill, process_gone, templates_of, try_kill, wait_until};

use crate::jobs::{double, pid, worker_counts};
use crate::{nobody_is_left, pool_of};

conform!(e76_killed_while_idle, e76_killed_before_the_first_job, e76_killed_while_starting,);

/// From then on the template, if there is one, is not taken for a worker.
fn template_has_its_name(method: StartMethod) {
    wait_until("the template has its name", || method == StartMethod::Spawn || !templates_of(process::id()).is_empty());
}

fn e76_killed_while_idle(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        let mut pids = BTreeSet::new();
        for _ in 0..10 {
            let idle = pool.run(pid::job()).unwrap();
            assert!(pids.insert(idle), "a worker that was killed is back");
            kill(idle, libc::SIGKILL);
            wait_until("the worker is gone", || process_gone(idle));
        }
        assert!(pids.insert(pool.run(pid::job()).unwrap()));
    }
}

fn e76_killed_before_the_first_job(method: StartMethod) {
    // As many that die at once as can be before the pool must think that none can stay.
    for workers in worker_counts().map(|workers| workers.min(8)) {
        let pool = pool_of(method, workers);
        template_has_its_name(method);
        wait_until("all workers are there", || children_of(process::id()).len() == workers);
        let first = children_of(process::id());
        first.iter().for_each(|pid| kill(*pid, libc::SIGKILL));
        wait_until("all workers are gone", || first.iter().all(|pid| process_gone(*pid)));
        for n in 0..20 {
            assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n);
        }
        assert!(!first.contains(&pool.run(pid::job()).unwrap()));
        drop(pool);
        nobody_is_left(method);
    }
}

fn e76_killed_while_starting(method: StartMethod) {
    for _ in 0..10 {
        let pool = pool_of(method, 1);
        template_has_its_name(method);
        let job = pool.submit(pid::job()).unwrap();
        let mut killed = BTreeSet::new();
        // As soon as it exists; not so often that the pool must think that no worker can start.
        wait_until("three workers were killed, or one was too fast", || {
            let victims = children_of(process::id()).into_iter().filter(|pid| !process_gone(*pid));
            killed.extend(victims.filter(|pid| try_kill(*pid, libc::SIGKILL)).take(1));
            killed.len() == 3 || job.is_finished()
        });
        match job.wait() {
            Ok(_) => {}
            Err(JobError::Died(death)) => assert!(killed.contains(&death.pid)),
            Err(other) => panic!("{other}"),
        }
        pool.run(pid::job()).unwrap();
        drop(pool);
        nobody_is_left(method);
    }
}
