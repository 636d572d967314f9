//! One template, and several who wait for it, each with a patience of his own.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use crate::pools::{dies, double, pass, pool_of, state_of, template};
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

/// How long the supervisors of this process have been on a CPU.
fn supervised() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let supervisors = threads.map(|thread| thread.path()).filter(|thread| read(thread.join("comm")).trim_end() == "mpm-pool");
    let nanos = |thread: PathBuf| read(thread.join("schedstat")).split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0);
    Duration::from_nanos(supervisors.map(nanos).sum())
}

/// Its exit was seen again and again until the template told how it had ended.
#[mpm::test]
fn nobody_spins_while_the_end_of_a_worker_is_asked_for() {
    alone("patience::nobody_spins_while_the_end_of_a_worker_is_asked_for", || {
        let pool = pool_of(1, StartMethod::ForkServer);
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let running = pool.submit(pass::job(&gate.path())).unwrap();
        gate.wait_for(1);
        let first = template();
        kill(first, libc::SIGSTOP);
        wait_until("it is stopped", || state_of(first) == Some('T'));
        let (start, before) = (Instant::now(), supervised());
        kill(running.report().pid.unwrap(), libc::SIGKILL);
        let job = pool.submit(double::job(21)).unwrap();
        // Nobody can reap it: that takes the time after which the supervisor does without.
        assert!(running.wait().unwrap_err().is_died());
        assert!(supervised() - before < start.elapsed() / 2, "it spins");
        kill(first, libc::SIGCONT);
        assert_eq!(job.wait().unwrap(), 42);
    });
}
