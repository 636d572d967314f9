//! How a pool ends: what it still does, what it takes back, what it kills.
//!
//! | request | waiting jobs | running jobs | then |
//! |---|---|---|---|
//! | `join` | run | run | workers are told to stop |
//! | `shutdown(grace)`, `Drop` | are taken back by the caller | may run for `grace`, then are killed | the same |
//! | `kill` | are taken back | are killed | |

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::core::{Core, Ending};
use super::face::Pool;
use super::member::{Fate, Process};
use super::shared::Shared;
use crate::error::{EndReason, JobError};

/// The supervisor's part of an end that was asked for: one step, to be taken at every turn.
pub(super) fn proceed(core: &mut Core, Ending { kill_at }: Ending, now: Instant, grace: Duration) {
    if kill_at.is_some() {
        core.all_processes_mut().for_each(Process::ask_because_the_pool_ends);
    }
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

/// A pool's end in the hands of somebody who has no part in the pool.
#[derive(Clone, Debug)]
pub(crate) struct Ender(Weak<Shared>);

impl Pool {
    pub(crate) fn ender(&self) -> Ender {
        Ender(Arc::downgrade(&self.shared))
    }
}

impl Ender {
    /// Begins to end the pool, or has it hurry, and does not wait for it: the first time as `join`, the second as `shutdown` with
    /// the pool's grace, then as `kill`. False if there is no pool any more, or it has ended.
    pub(crate) fn end(&self, times: u32) -> bool {
        let Some(shared) = self.0.upgrade().filter(|shared| !shared.is_copy() && !shared.lock().ended) else { return false };
        let now = Instant::now();
        match times {
            0 | 1 => shared.end(None, None),
            2 => shared.end(now.checked_add(shared.settings.grace), Some("a signal had the pool hurry before it had started")),
            _ => shared.end(Some(now), Some("a signal had the pool killed before it had started")),
        }
        true
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
        core.end_unanswered(cell, JobError::PoolFailed(Arc::clone(reason)));
    }
    let callbacks = Arc::clone(&core.callbacks);
    core.all_processes_mut().for_each(|process| process.tell_end(&callbacks, None));
    core.leaving.clear();
    core.members.iter_mut().for_each(|member| (member.process, member.next) = (None, VecDeque::new()));
}

impl Shared {
    /// Asks the pool to end, or to hurry if it is ending already. With `cancel`, for that reason, jobs that have not started
    /// are taken back: in one step with the closing, so that those who wait for room do not fill the place.
    pub(super) fn end(&self, kill_at: Option<Instant>, cancel: Option<&'static str>) {
        if self.is_copy() {
            return;
        }
        self.with_core(|core| {
            if let Some(reason) = cancel {
                core.cancel_unstarted(reason);
            }
            let before = core.ending.and_then(|ending| ending.kill_at);
            let kill_at = [before, kill_at].into_iter().flatten().min();
            core.ending = Some(Ending { kill_at });
            core.tell_who_waits_for_ends();
            core.resume();
            // Those who wait for room will get none.
            core.freed = true;
        });
        self.doorbell.ring();
    }

    /// Waits until all processes of the pool are gone.
    pub(super) fn wait_ended(&self) {
        let mut core = self.lock();
        while !core.ended && !self.is_copy() {
            core = self.ended.wait(core).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
