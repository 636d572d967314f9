//! Tests of the pool's core alone, without processes.

use super::cell::Raw;
use super::core::Core;
use super::member::Waiting;
use super::shared::Settings;
use crate::error::JobError;

/// A core with three jobs, the first two as if a member had them.
fn three_jobs() -> (Core, Vec<Waiting>) {
    let mut core = Core::new(&Settings { workers: 1, ..Settings::default() });
    for _ in 0..3 {
        core.enqueue(0, "job", Vec::new());
    }
    let handed_out: Vec<_> = core.queue.drain(..2).collect();
    core.waiting -= handed_out.len();
    (core, handed_out)
}

/// The jobs that have ended, each with the reason for which the pool has failed.
fn given_up(core: &mut Core) -> Vec<(u64, String)> {
    let reason = |raw| match raw {
        Raw::Failed(JobError::PoolFailed(reason)) => reason.to_string(),
        other => panic!("{other:?}"),
    };
    std::mem::take(&mut core.outcomes).into_iter().map(|outcome| (outcome.cell.id, reason(outcome.raw))).collect()
}

#[test]
fn what_comes_back_is_first_again() {
    let (mut core, handed_out) = three_jobs();
    core.requeue(handed_out);
    assert!(core.queue.iter().map(|job| job.cell.id).eq([1, 2, 3]), "{:?}", core.queue);
    assert_eq!((core.waiting, core.outcomes.len()), (3, 0));
}

/// A member that was to die when the pool failed gave its jobs back after that, to a queue that nobody served any more.
#[test]
fn what_comes_back_to_a_pool_that_has_failed_ends_with_the_reason() {
    let (mut core, handed_out) = three_jobs();
    core.fail(&"no worker starts".into());
    assert_eq!(given_up(&mut core), [(3, "no worker starts".to_owned())]);
    core.requeue(handed_out);
    assert_eq!(given_up(&mut core), [1, 2].map(|job| (job, "no worker starts".to_owned())));
    assert_eq!((core.waiting, core.queue.len()), (0, 0), "nothing waits there");
}
