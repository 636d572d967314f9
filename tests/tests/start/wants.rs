//! Wants of descriptors, on either side: what cannot be done for a while fails and is told, and what runs goes on.

use std::fs;
use std::process;
use std::thread;

use crate::pools::{begin, build, dies, double, pass, pid, pool_of, state_of, template};
use mpm::{Error, JobError, Pool, Process, StartMethod, worker};
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

/// Such a worker was not tied to its parent, or said that the parent was gone; or its pool blamed `main`.
#[mpm::test]
fn a_worker_that_has_too_few_descriptors_says_so() {
    alone("wants::a_worker_that_has_too_few_descriptors_says_so", || {
        assert_eq!(pool_of(1, StartMethod::ForkServer).run(double::job(1)).unwrap(), 2);
        let first = template();
        let outcomes = (2..16).map(|room| {
            let before = limit_descriptors_of(first, limit_with_room(first, room));
            let outcome = pool_of(1, StartMethod::ForkServer).run(double::job(1));
            limit_descriptors_of(first, before);
            match &outcome {
                Ok(two) => assert_eq!(*two, 2),
                Err(JobError::PoolFailed(reason)) => {
                    assert!(reason.contains(WANT) && reason.contains("refused to start"), "room for {room}: {reason}");
                    assert!(!reason.contains("parent is gone") && !reason.contains("main()"), "room for {room}: {reason}");
                }
                Err(error) => panic!("room for {room}: {error}"),
            }
            outcome.map_err(|error| error.to_string())
        });
        let outcomes: Vec<_> = outcomes.collect();
        assert!(outcomes.is_sorted_by_key(Result::is_ok) && outcomes.last().unwrap().is_ok(), "{outcomes:?}");
        let is_untied = |outcome: &Result<u64, String>| outcome.as_ref().is_err_and(|e| e.contains("tied to its parent"));
        assert!(outcomes.iter().any(is_untied), "{outcomes:?}");
        assert_eq!(template(), first);
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

#[worker]
fn large() -> Vec<u8> {
    vec![1; 100_000]
}

/// That was told as the death of a process that had ended well.
#[mpm::test]
fn a_result_that_this_process_has_no_descriptor_for_is_told_to_be_lost() {
    alone("wants::a_result_that_this_process_has_no_descriptor_for_is_told_to_be_lost", || {
        for method in StartMethod::ALL {
            let process = begin(Process::builder(large::job()), method).unwrap();
            assert_eq!(process.join().unwrap().code(), Some(0));
            let before = limit_descriptors_of(process::id(), 3);
            let error = process.wait();
            limit_descriptors_of(process::id(), before);
            let error = error.unwrap_err();
            assert!(matches!(error.job(), Some(JobError::Decode(_))), "{method}: {error}");
            assert!(error.to_string().contains(WANT) && error.to_string().contains("is lost"), "{method}: {error}");
            assert_eq!(begin(Process::builder(large::job()), method).unwrap().wait().unwrap().len(), 100_000);
        }
    });
}
