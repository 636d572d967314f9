//! Wants of descriptors, on either side: what cannot be done for a while fails and is told, and what runs goes on.

use std::fs;
use std::process;
use std::thread;

use crate::pools::{build, dies, double, pass, pid, pool_of, state_of, template};
use mpm::{Error, JobError, Pool, Process, StartMethod};
use mpm_tests::{Gate, alone, children_of, kill, limit_descriptors_of, process_gone, templates_of, wait_until};
use tempfile::TempDir;

const WANT: &str = "Too many open files";

/// Starts a process by way of the template that pools without settings share, which runs one short job.
fn short_process() -> Result<u64, Error> {
    Process::builder(double::job(4)).start_method(StartMethod::ForkServer).start().and_then(Process::wait)
}

/// The limit with which process `pid` has so many descriptors left.
fn limit_with_room(pid: u32, room: usize) -> u64 {
    let mut free = (3_u64..).filter(|number| !fs::exists(format!("/proc/{pid}/fd/{number}")).unwrap());
    free.nth(room).unwrap()
}

/// The running workers of all its pools were killed, and nobody was told why.
#[mpm::test]
fn a_template_that_has_no_descriptor_left_keeps_its_workers() {
    alone("wants::a_template_that_has_no_descriptor_left_keeps_its_workers", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(1, StartMethod::ForkServer);
        let worker = pool.run(pid::job()).unwrap();
        let job = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        let first = template();
        // It takes two to be told.
        for room in [0, 1] {
            let before = limit_descriptors_of(first, limit_with_room(first, room));
            let error = short_process().unwrap_err().to_string();
            assert!(error.contains(WANT), "{room}: {error}");
            assert!(!process_gone(worker), "a running worker has nothing to do with that");
            limit_descriptors_of(first, before);
        }
        assert_eq!(short_process().unwrap(), 8);
        gate.open();
        assert_eq!(job.wait().unwrap(), worker);
        assert_eq!(template(), first, "it is the same one all the time");
    });
}

#[mpm::test]
fn a_copy_that_has_no_descriptor_left_is_told_of() {
    alone("wants::a_copy_that_has_no_descriptor_left_is_told_of", || {
        let pool = build(Pool::builder().workers(1), StartMethod::Fork);
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
        limit_descriptors_of(template(), 3);
        assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
        let Err(JobError::PoolFailed(reason)) = pool.run(double::job(1)) else { panic!("it has nowhere to run") };
        assert!(reason.contains(WANT), "{reason}");
        assert!(!process_gone(template()));
    });
}

/// The template was killed, and what it had forked with it.
#[mpm::test]
fn a_parent_that_has_no_descriptor_left_keeps_its_template() {
    alone("wants::a_parent_that_has_no_descriptor_left_keeps_its_template", || {
        let folder = TempDir::new().unwrap();
        let latch = folder.path().join("latch");
        fs::write(&latch, "stop").unwrap();
        let builder = || Process::builder(pid::job()).env("MPM_FAULT", format!("forking:{}", latch.display()));
        let (error, first) = thread::scope(|scope| {
            let start = scope.spawn(|| builder().start_method(StartMethod::ForkServer).start().map(drop).unwrap_err());
            // It has the order, and everything that this process needed for that is done.
            wait_until("there is a template", || !templates_of(process::id()).is_empty());
            let first = template();
            wait_until("it is stopped", || state_of(first) == Some('T'));
            let before = limit_descriptors_of(process::id(), 3);
            kill(first, libc::SIGCONT);
            let error = start.join();
            limit_descriptors_of(process::id(), before);
            (error.unwrap().to_string(), first)
        });
        assert!(error.contains(WANT), "{error}");
        wait_until("what it had forked is gone", || children_of(process::id()).is_empty());
        assert_eq!(template(), first);
        assert!(builder().start().and_then(Process::wait).is_ok());
        assert_eq!(template(), first);
    });
}
