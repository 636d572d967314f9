//! One template, and several who wait for it, each with a patience of his own.

use std::process;
use std::time::Duration;

use crate::pools::{dies, double, pool_of, state_of, template};
use mpm::{JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Gate, alone, kill, templates_of, wait_until};
use tempfile::TempDir;

const SHORT: Duration = Duration::from_millis(300);

#[worker]
fn prepares(gate: &str) {
    mpm_tests::wait_at(gate);
}

/// The template was killed, and prepared once more for those who would have waited.
#[mpm::test]
fn who_does_not_wait_for_the_preparation_fails_alone() {
    alone("patience::who_does_not_wait_for_the_preparation_fails_alone", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let builder = || Pool::builder().workers(2).preload(prepares::job(&path));
        let patient = builder().build().unwrap();
        let job = patient.submit(double::job(21)).unwrap();
        gate.wait_for(1);
        let hasty = builder().start_timeout(SHORT).build().unwrap();
        let Err(JobError::PoolFailed(reason)) = hasty.run(double::job(1)) else { panic!("nothing is prepared") };
        assert!(reason.contains("was not ready within 300ms: it runs preload job"), "{reason}");
        assert_eq!(templates_of(process::id()).len(), 1);
        gate.open();
        assert_eq!(job.wait().unwrap(), 42);
        assert_eq!(gate.arrived(), 1, "it was prepared once");
    });
}

#[mpm::test]
fn who_does_not_wait_for_a_fork_fails_alone() {
    alone("patience::who_does_not_wait_for_a_fork_fails_alone", || {
        let patient = pool_of(1, StartMethod::ForkServer);
        assert_eq!(patient.run(double::job(1)).unwrap(), 2);
        let first = template();
        kill(first, libc::SIGSTOP);
        wait_until("it is stopped", || state_of(first) == Some('T'));
        assert!(patient.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
        let job = patient.submit(double::job(21)).unwrap();
        for _ in 0..3 {
            let hasty = Process::builder(double::job(1)).start_method(StartMethod::ForkServer).start_timeout(SHORT);
            let error = hasty.start().unwrap_err().to_string();
            assert!(error.contains("forked no worker within 300ms"), "{error}");
        }
        assert!(!job.is_finished());
        kill(first, libc::SIGCONT);
        assert_eq!(job.wait().unwrap(), 42);
        assert_eq!(template(), first);
    });
}
