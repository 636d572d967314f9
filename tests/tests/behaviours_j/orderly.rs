//! Behaviours 134 to 136, 142, 143 and 149: a pool ends once, whoever asks how often, and what it has taken has its outcome.

use std::sync::Arc;
use std::thread;

use mpm::{JobError, JobHandle, Pool, StartMethod, worker};
use mpm_tests::{Gate, Log, block_on, wait_at, wait_until};
use serde::{Deserialize, Serialize, Serializer};
use tempfile::TempDir;

use crate::jobs::{Way, die, worker_counts};
use crate::pools::{build, double, pid, pool_of};
use crate::{ENDS, LONG, nobody_is_left};

conform!(
    j134_submit_after_the_end,
    j135_join_finishes_everything,
    j136_ended_twice_in_every_order,
    j136_ended_by_many_threads_at_once,
    j142_a_worker_crashes_while_the_pool_is_joined,
    j143_a_bad_job_and_the_end,
    j149_results_that_arrive_during_the_end_are_delivered,
);

fn j134_submit_after_the_end(method: StartMethod) {
    for workers in worker_counts() {
        for end in ENDS {
            let pool = pool_of(workers, method);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            end(&pool);
            for refused in [pool.submit(pid::job()).unwrap_err(), pool.try_submit(pid::job()).unwrap_err()] {
                assert!(refused.is_closed() && !refused.is_full() && !refused.is_failed(), "{refused}");
                assert!(mpm::Error::from(refused).is_closed());
            }
            assert!(matches!(pool.run(pid::job()), Err(JobError::PoolFailed(reason)) if reason.contains("takes no more jobs")));
            assert!(pool.map::<double>(0..3).all(|outcome| matches!(outcome, Err(JobError::PoolFailed(_)))));
            assert_eq!(pool.map_unordered::<double>(0..3).filter(|(_, outcome)| outcome.is_err()).count(), 3);
        }
    }
}

fn j135_join_finishes_everything(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(workers, method);
        let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        pool.join();
        assert!(jobs.iter().all(JobHandle::is_finished));
        nobody_is_left(method);
        assert_eq!(jobs.into_iter().map(|job| job.wait().unwrap()).sum::<u64>(), 49 * 50);
    }
}

fn j136_ended_twice_in_every_order(method: StartMethod) {
    for first in ENDS {
        for second in ENDS {
            let pool = pool_of(1, method);
            let job = pool.submit(double::job(1)).unwrap();
            first(&pool);
            second(&pool);
            assert!(job.is_finished());
        }
    }
}

fn j136_ended_by_many_threads_at_once(method: StartMethod) {
    for workers in worker_counts() {
        for round in 0..10 {
            let pool = pool_of(workers, method);
            let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            thread::scope(|scope| {
                for n in 0..6 {
                    let pool = &pool;
                    scope.spawn(move || {
                        ENDS[(n + round) % ENDS.len()](pool);
                        assert!(pool.submit(pid::job()).unwrap_err().is_closed());
                    });
                }
            });
            assert!(jobs.iter().all(JobHandle::is_finished));
        }
    }
}

fn j142_a_worker_crashes_while_the_pool_is_joined(method: StartMethod) {
    for workers in worker_counts() {
        for way in [Way::Exit(1), Way::NullWrite] {
            let pool = pool_of(workers, method);
            let before = pool.submit(double::job(1)).unwrap();
            let crash = pool.submit(die::job(way)).unwrap();
            let after: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            pool.join();
            assert_eq!(before.wait().unwrap(), 2);
            assert!(crash.wait().unwrap_err().is_died());
            assert!(after.into_iter().all(|job| job.wait().is_ok()));
        }
    }
}

#[derive(Deserialize)]
struct Bad;

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[worker]
fn take_bad(_bad: Bad) {}

fn j143_a_bad_job_and_the_end(method: StartMethod) {
    for end in ENDS {
        let pool = pool_of(2, method);
        let job = pool.submit(take_bad::job(Bad)).unwrap();
        end(&pool);
        assert!(matches!(job.wait(), Err(JobError::Encode(_))));
    }
}

/// Waits at a gate, and then returns so much.
#[worker]
fn much_later(gate: &str, n: u8, len: usize) -> Vec<u8> {
    wait_at(gate);
    vec![n; len]
}

/// They come when the end has begun, small ones and large ones, and reach who waits, who polls, who is called and who looks afterwards.
fn j149_results_that_arrive_during_the_end_are_delivered(method: StartMethod) {
    let ends: [fn(Arc<Pool>); 3] = [|pool| pool.join(), |pool| pool.shutdown(LONG), drop];
    for (round, len) in (0..ends.len()).flat_map(|round| [3, 20_000, 5_000_000].map(|len| (round, len))) {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let calls: Log<(u64, usize)> = Log::default();
        let pool = Arc::new(build(Pool::builder().workers(4).grace(LONG), method));
        let submit = |n| {
            let calls = calls.clone();
            let job = much_later::job(&path, n, len).on_done(move |done| calls.add((done.report.job, done.outcome.unwrap().len())));
            pool.submit(job).unwrap()
        };
        let [waits, polls, listed, later] = [1, 2, 3, 4].map(submit);
        let mut ids = [waits.id(), polls.id(), listed.id(), later.id()].map(|id| (id, len)).to_vec();
        gate.wait_for(4);
        let behind = pool.submit(double::job(4)).unwrap();
        // Who holds a pool that is dropped keeps it.
        let seen = (round < 2).then(|| Arc::clone(&pool));
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(waits.wait().unwrap(), vec![1; len]));
            scope.spawn(|| assert_eq!(block_on(polls).unwrap(), vec![2; len]));
            scope.spawn(|| assert!(mpm::as_completed([listed]).all(|(_, outcome)| outcome.unwrap() == vec![3; len])));
            scope.spawn(|| ends[round](pool));
            match &seen {
                Some(pool) => wait_until("the end has begun", || pool.try_submit(pid::job()).is_err_and(|it| it.is_closed())),
                None => mpm::wait_all(std::slice::from_ref(&behind)),
            }
            gate.open();
        });
        assert_eq!(behind.wait().is_ok(), round == 0, "only a join runs what waits");
        assert_eq!(later.wait().unwrap(), vec![4; len]);
        let mut calls = calls.take();
        calls.sort_unstable();
        ids.sort_unstable();
        assert_eq!(calls, ids);
    }
}
