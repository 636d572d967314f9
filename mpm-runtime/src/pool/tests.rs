//! Tests of the pool's core alone, without processes.

use std::sync::Arc;

use super::callbacks::Callbacks;
use super::cell::{Cell, Raw};
use super::core::Core;
use super::member::Waiting;
use super::settings::Settings;
use super::stop_jobs::StopTakers;
use crate::error::JobError;
use crate::link::{Payload, Shelf};

/// A core with three jobs, the first two as if a member had them.
fn three_jobs() -> (Core, Vec<Waiting>) {
    let mut core = Core::new(&Settings::default(), Shelf::new(1), Callbacks::new("test", None, StopTakers::default()));
    for _ in 0..3 {
        core.enqueue(Arc::new(Cell::new("job", None)), 0, Payload::default());
    }
    let handed_out: Vec<_> = core.queue.drain(..2).collect();
    core.waiting -= handed_out.len();
    (core, handed_out)
}

/// The reason for which the pool has failed, with which a job has ended.
fn reason(cell: &Cell) -> String {
    match cell.take() {
        Some(Ok(Raw::Failed(JobError::PoolFailed(reason)))) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_back_is_first_again() {
    let (mut core, handed_out) = three_jobs();
    core.requeue(handed_out);
    assert!(core.queue.iter().map(|job| job.cell.id()).eq([1, 2, 3]), "{:?}", core.queue);
    assert_eq!((core.waiting, core.jobs_ended.count()), (3, 0));
}

/// A member that was to die when the pool failed gave its jobs back after that, to a queue that nobody served any more.
#[test]
fn what_comes_back_to_a_pool_that_has_failed_ends_with_the_reason() {
    let (mut core, handed_out) = three_jobs();
    let waits = Arc::clone(&core.queue[0].cell);
    let came_back: Vec<_> = handed_out.iter().map(|job| Arc::clone(&job.cell)).collect();
    core.fail(&"no worker starts".into());
    assert_eq!(reason(&waits), "no worker starts");
    assert!(came_back.iter().all(|cell| !cell.is_finished()));
    core.requeue(handed_out);
    assert_eq!(came_back.iter().map(|cell| reason(cell)).collect::<Vec<_>>(), ["no worker starts"; 2]);
    assert_eq!((core.waiting, core.queue.len()), (0, 0), "nothing waits there");
}
