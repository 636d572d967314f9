//! One run in every worker.

use std::collections::BTreeSet;
use std::thread;

use mpm::{JobError, worker};
use mpm_tests::{Gate, kill, wait_until, watchdog};
use serde::{Serialize, Serializer};

use crate::marks::{METHODS, everyone, folder, limited, mark, pid, pool, started, warm};

#[worker]
fn sum(bytes: &[u8]) -> (u32, u64) {
    (std::process::id(), bytes.iter().map(|byte| u64::from(*byte)).sum())
}

#[derive(serde::Deserialize)]
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}

#[worker]
fn refused(_it: Refuses) {}

#[mpm::test]
fn each_worker_runs_it_once_whether_it_is_there_already_or_not() {
    let _watchdog = watchdog();
    for method in METHODS {
        for workers in [1, 2, 5] {
            let pool = pool(workers).start(method).build().unwrap();
            let runs = pool.broadcast(pid::job()).unwrap();
            let names: Vec<_> = runs.iter().map(|(worker, _)| worker.to_owned()).collect();
            assert_eq!(names, (0..workers).map(|n| format!("q-{n}")).collect::<Vec<_>>());
            for (worker, run) in runs.iter() {
                mpm::wait_all(std::slice::from_ref(run));
                assert_eq!(run.report().worker.as_deref(), Some(worker));
            }
            let first: Vec<u32> = runs.wait().into_iter().map(|(_, pid)| pid.unwrap()).collect();
            assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), workers);
            let second: Vec<u32> = pool.broadcast(pid::job()).unwrap().into_iter().map(|(_, run)| run.wait().unwrap()).collect();
            assert_eq!(first, second, "{method:?}");
        }
    }
}

#[mpm::test]
fn a_busy_worker_runs_it_when_it_comes_to_it() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(2).build().unwrap();
    warm(&pool);
    let holds = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
    gate.wait_for(1);
    let busy = holds.report().worker.unwrap();
    let behind: Vec<_> = (1..5).map(|n| pool.submit(mark::job(&marks, n, "").priority(-1)).unwrap()).collect();
    let runs = pool.broadcast(pid::job()).unwrap();
    for (worker, run) in runs.iter().filter(|(worker, _)| *worker != busy) {
        mpm::wait_all(std::slice::from_ref(run));
        assert_ne!(worker, busy);
    }
    assert!(runs.iter().any(|(_, run)| !run.is_finished()));
    gate.open();
    assert!(runs.wait().into_iter().all(|(_, outcome)| outcome.is_ok()));
    assert!(behind.into_iter().chain([holds]).all(|job| job.wait().is_ok()));
}

#[mpm::test]
fn where_its_worker_dies_before_its_run_that_run_alone_ends_with_the_reason() {
    let _watchdog = watchdog();
    for method in METHODS {
        let (folder, marks) = folder();
        let gate = Gate::new(folder.path(), "gate");
        let pool = pool(2).start(method).build().unwrap();
        everyone(&pool);
        let holds = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
        gate.wait_for(1);
        let busy = holds.report();
        let runs = pool.broadcast(mark::job(&marks, 7, "")).unwrap();
        kill(busy.pid.unwrap(), libc::SIGKILL);
        for (worker, outcome) in runs.wait() {
            match outcome {
                Ok(pid) => assert_ne!((Some(&worker), Some(pid)), (busy.worker.as_ref(), busy.pid)),
                Err(JobError::Cancelled(cancelled)) => {
                    assert_eq!(Some(worker), busy.worker);
                    assert!(cancelled.reason.contains("the worker that it was for"), "{}", cancelled.reason);
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(holds.wait().unwrap_err().death().is_some());
        assert_eq!(started(&marks), [0, 7], "{method:?}");
        assert!(pool.broadcast(pid::job()).unwrap().wait().into_iter().all(|(_, outcome)| outcome.is_ok()));
    }
}

#[mpm::test]
fn where_each_job_has_a_process_each_place_has_one_for_it() {
    let _watchdog = watchdog();
    for method in METHODS {
        let pool = pool(2).start(method).max_jobs(1).build().unwrap();
        let pids: BTreeSet<u32> = (0..5)
            .flat_map(|_| pool.broadcast(pid::job()).unwrap().wait())
            .filter_map(|(_, outcome)| outcome.map_err(|error| assert!(error.is_cancelled(), "{error}")).ok())
            .collect();
        assert!(pids.len() >= 5, "{method:?}: {pids:?}");
    }
}

#[mpm::test]
fn large_arguments_reach_all_and_those_that_cannot_be_encoded_none() {
    let _watchdog = watchdog();
    let pool = pool(3).build().unwrap();
    let bytes = vec![3; 5 << 20];
    let runs = pool.broadcast(sum::job(&bytes)).unwrap();
    drop(bytes);
    let pids: BTreeSet<u32> = runs
        .wait()
        .into_iter()
        .map(|(_, outcome)| outcome.unwrap())
        .inspect(|(_, sum)| assert_eq!(*sum, 15 << 20))
        .map(|(pid, _)| pid)
        .collect();
    assert_eq!(pids.len(), 3);
    for (_, outcome) in pool.broadcast(refused::job(Refuses)).unwrap().wait() {
        assert!(matches!(outcome, Err(JobError::Encode(_))), "{outcome:?}");
    }
    pool.run(pid::job()).unwrap();
}

#[mpm::test]
fn rules_hold_for_each_run() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(3).limit_concurrency::<limited>(1).build().unwrap();
    everyone(&pool);
    let runs = pool.broadcast(limited::job(&marks, 1, &gate.path()).tag("x").key("nothing")).unwrap();
    gate.wait_for(1);
    assert!(pool.broadcast(pid::job()).unwrap().iter().filter(|(_, run)| !run.is_finished()).count() <= 3);
    assert!(runs.iter().all(|(_, run)| run.report().tag.as_deref() == Some("x")));
    assert_eq!((pool.cancel_tagged("x"), gate.arrived()), (2, 1));
    gate.open();
    assert_eq!(runs.wait().into_iter().filter(|(_, outcome)| outcome.is_ok()).count(), 1);
}

#[mpm::test]
fn it_waits_for_room_and_is_refused_by_a_pool_that_has_ended() {
    let _watchdog = watchdog();
    let pool = pool(2).queue(1).build().unwrap();
    pool.pause();
    let waits = pool.submit(pid::job()).unwrap();
    thread::scope(|scope| {
        let broadcast = || everyone(&pool);
        let blocked = thread::Builder::new().name("blocked".to_owned()).spawn_scoped(scope, broadcast).unwrap();
        wait_until("the thread waits for room", || mpm_tests::call_of("blocked") == Some(libc::SYS_futex));
        pool.resume();
        assert_eq!(blocked.join().unwrap().len(), 2);
    });
    waits.wait().unwrap();
    pool.pause();
    let runs = pool.broadcast(pid::job()).unwrap();
    pool.kill();
    assert!(runs.wait().into_iter().all(|(_, outcome)| outcome.unwrap_err().is_cancelled()));
    let error = pool.broadcast(pid::job()).unwrap_err();
    assert!(error.is_closed());
    drop(error.into_job());
}
