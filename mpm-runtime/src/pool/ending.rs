//! How a pool ends: what it still does, what it takes back, what it kills.
//!
//! | request | waiting jobs | running jobs | then |
//! |---|---|---|---|
//! | `join` | run | run | workers are told to stop |
//! | `shutdown(grace)`, `Drop` | are taken back by the caller | may run for `grace`, then are killed | the same |
//! | `kill` | are taken back | are killed | |

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Ending};
use super::member::Fate;
use crate::error::{EndReason, JobError};

/// The supervisor's part of an end that was asked for: one step, to be taken at every turn.
pub(super) fn proceed(core: &mut Core, Ending { kill_at }: Ending, now: Instant, grace: Duration) {
    if kill_at.is_some_and(|at| at <= now) {
        core.cancel_unstarted("the pool ended before it had started");
        core.kill_all("the pool was killed, or its grace was over, while the job ran; it may have run in part");
    } else if core.is_idle() {
        for process in core.all_processes_mut() {
            if process.child.is_none() {
                process.kill(Fate::Ended("the pool ended before the worker had started"));
            } else {
                // Told to stop, a worker only has its exit hooks to run.
                process.stop(now.checked_add(grace), EndReason::PoolEnded);
            }
        }
    }
}

/// Leaves no job without an outcome, whatever state the members are in: for a supervisor that cannot go on.
pub(super) fn abandon(core: &mut Core, reason: &Arc<str>) {
    core.kill_all("the pool failed");
    let mut lost = Vec::new();
    for process in core.processes_mut() {
        process.fate = Some(Fate::Ended("the pool failed"));
        lost.extend(process.in_flight.drain(..).map(|job| job.cell));
    }
    for cell in lost {
        core.give_up(cell, JobError::PoolFailed(Arc::clone(reason)));
    }
    let (callbacks, max_jobs) = (Arc::clone(&core.callbacks), core.max_jobs);
    core.all_processes_mut().for_each(|process| process.tell_end(&callbacks, None, max_jobs));
    core.leaving.clear();
    core.members.iter_mut().for_each(|member| (member.process, member.next) = (None, VecDeque::new()));
}
