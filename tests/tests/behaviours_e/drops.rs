//! Behaviours 78 and 81: what a job drops ends its worker, before the result was sent or after it.

use std::process;

use mpm::{DidRun, Phase, StartMethod, worker};
use serde::{Deserialize, Serialize};

use crate::jobs::{Way, pid, worker_counts};
use crate::{check_how, death, pool_of};

conform!(
    e78_dies_in_the_drop_of_an_argument_before_it_returns,
    e81_dies_when_the_result_has_been_sent,
    e81_panics_when_the_result_has_been_sent,
);

/// Does something when it is dropped in a worker: in any process but `parent`.
#[derive(Debug, Serialize, Deserialize)]
struct Dropped {
    parent: u32,
    /// `None` panics.
    way: Option<Way>,
    ballast: Vec<u8>,
}

impl Dropped {
    fn new(way: Option<Way>, ballast: usize) -> Self {
        Self { parent: process::id(), way, ballast: vec![7; ballast] }
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        if process::id() != self.parent {
            match self.way {
                Some(way) => way.go(),
                None => panic!("in the drop"),
            }
        }
    }
}

#[worker]
fn drops_argument(owned: Dropped) -> usize {
    owned.ballast.len()
}

#[worker]
fn drops_borrowed(borrowed: &Dropped) -> usize {
    borrowed.ballast.len()
}

#[worker]
fn drops_result(parent: u32, way: Option<Way>, ballast: usize) -> Dropped {
    Dropped { parent, way, ballast: vec![7; ballast] }
}

fn e78_dies_in_the_drop_of_an_argument_before_it_returns(method: StartMethod) {
    let pool = pool_of(method, 1);
    let death = death(pool.run(drops_argument::job(Dropped::new(Some(Way::Abort), 10))));
    check_how(&death, Err((libc::SIGABRT, "SIGABRT")));
    assert_eq!((death.phase, death.did_run), (Phase::Running, DidRun::Maybe));
    assert!(pool.run(drops_argument::job(Dropped::new(None, 10))).unwrap_err().is_panicked());
}

fn e81_dies_when_the_result_has_been_sent(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        for way in [Way::Exit(0), Way::Exit(1), Way::Abort, Way::Kill] {
            // In the ring, and in a segment of its own.
            for ballast in [10, 300_000] {
                let argument = Dropped::new(Some(way), ballast);
                assert_eq!(pool.run(drops_borrowed::job(&argument)).unwrap(), ballast);
                let result = pool.run(drops_result::job(process::id(), Some(way), ballast)).unwrap();
                assert_eq!(result.ballast.len(), ballast);
            }
        }
        // Many at once: each worker dies of each job, and no job is hurt.
        let parent = process::id();
        let inputs = (0..40).map(|_| (parent, Some(Way::Exit(3)), 10));
        assert_eq!(pool.map::<drops_result>(inputs).filter(Result::is_ok).count(), 40);
    }
}

fn e81_panics_when_the_result_has_been_sent(method: StartMethod) {
    let pool = pool_of(method, 1);
    let worker = pool.run(pid::job()).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.run(drops_borrowed::job(&Dropped::new(None, 5))).unwrap(), 5);
        assert!(pool.run(drops_result::job(process::id(), None, 5)).is_ok());
        assert_eq!(pool.run(pid::job()).unwrap(), worker, "the worker goes on");
    }
}
