//! Behaviours 83 and 84: many jobs, and a worker is killed in the middle. Only its own job fails.

use std::process;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, children_of, kill, process_gone, try_kill, wait_until};
use tempfile::TempDir;

use crate::jobs::{Way, double, pass, worker_counts};
use crate::{check_how, pool_of};

conform!(
    e83_only_the_culprit_fails,
    e83_killed_at_any_moment,
    e83_killed_at_any_moment_with_large_payloads,
    e84_killed_in_a_map_with_recycling,
);

fn e83_only_the_culprit_fails(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(method, workers);
        let jobs: Vec<_> = (0..100).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let victim = jobs.iter().find_map(|job| job.report().pid).unwrap();
        kill(victim, libc::SIGKILL);
        wait_until("the worker is gone", || process_gone(victim));
        gate.open();
        let outcomes: Vec<_> = jobs.into_iter().map(mpm::JobHandle::wait).collect();
        let deaths: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!(deaths.len(), 1, "{deaths:?}");
        assert_eq!(deaths[0].death().map(|death| death.pid), Some(victim), "{deaths:?}");
    }
}

#[worker]
fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

/// Kills a worker, whatever it does, whenever seven outcomes have come, and checks every outcome.
fn under_fire(method: StartMethod, workers: usize, jobs: usize, size: impl Fn(usize) -> usize) {
    let pool = pool_of(method, workers);
    let input = |n: usize| (0..size(n)).map(|at| (n + at) as u8).collect::<Vec<_>>();
    let (mut kills, mut deaths) = (0, 0);
    for (n, result) in pool.map::<reverse>((0..jobs).map(input)).look_ahead(10 * workers).enumerate() {
        match result {
            Ok(bytes) => assert!(bytes.into_iter().rev().eq(input(n)), "{n}"),
            Err(JobError::Died(death)) => {
                check_how(&death, Err((libc::SIGKILL, "SIGKILL")));
                deaths += 1;
            }
            Err(other) => panic!("{n}: {other}"),
        }
        if n % 7 == 0 {
            let children = children_of(process::id());
            let victim = children.get(n / 7 % children.len().max(1));
            kills += usize::from(victim.is_some_and(|pid| try_kill(*pid, libc::SIGKILL)));
            // Five deaths without a job in between would be workers that cannot start. The next kill comes at any moment again.
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
        }
    }
    assert!(kills > 0 && deaths <= kills, "{deaths} deaths of {kills} kills");
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

fn e83_killed_at_any_moment(method: StartMethod) {
    worker_counts().into_iter().for_each(|workers| under_fire(method, workers, 300, |n| n % 50));
}

fn e83_killed_at_any_moment_with_large_payloads(method: StartMethod) {
    worker_counts().into_iter().for_each(|workers| under_fire(method, workers, 60, |n| [10, 30_000, 200_000, 2_000_000][n % 4]));
}

#[worker]
fn die_if(way: Option<Way>) {
    if let Some(way) = way {
        way.go();
    }
}

/// A map in which every job dies, or every third, on workers that are replaced after none, one or three of their jobs as well.
fn e84_killed_in_a_map_with_recycling(method: StartMethod) {
    for (workers, lifespan) in [1, 3].into_iter().flat_map(|workers| [None, Some(1), Some(3)].map(|lifespan| (workers, lifespan))) {
        let builder = Pool::builder().workers(workers).start(method);
        let pool = lifespan.into_iter().fold(builder, |builder, jobs| builder.max_jobs(jobs)).build().unwrap();
        for every in [1, 3] {
            let inputs =
                (0..18_usize).map(|n| n.is_multiple_of(every).then_some(if n % 2 == 0 { Way::Exit(1) } else { Way::Kill }));
            let check = |n: usize, outcome: Result<(), JobError>| match outcome {
                Ok(()) => assert!(!n.is_multiple_of(every), "{n} of {workers} {lifespan:?}"),
                Err(error) => assert!(n.is_multiple_of(every) && error.is_died(), "{n} of {workers} {lifespan:?}: {error}"),
            };
            pool.map::<die_if>(inputs.clone()).enumerate().for_each(|(n, outcome)| check(n, outcome));
            pool.map_unordered::<die_if>(inputs).for_each(|(n, outcome)| check(n, outcome));
        }
        pool.join();
    }
}
