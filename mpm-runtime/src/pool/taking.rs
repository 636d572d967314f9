//! How a thread waits for outcomes of a chunk and takes them, as `waiting.rs` does for a job: many at a time, since each sleep costs
//! as much as many short jobs.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::attend::View;
use super::cell::{AWAITED, Cell};
use super::chunk::Outcomes;
use super::core::Core;
use super::face::Pool;
use super::limit::TargetLimits;
use super::policy::is_short;
use super::rules::Rules;
use super::shared::Shared;
use crate::error::{JobError, Refusal};
use crate::link::sync::Ordering;
use crate::link::{Bytes, Call, armed};
use crate::registry::Target;
use crate::sys::Wait;

/// How long a thread sleeps for the last of a chunk of short jobs before it has itself called for the next: about what a chunk takes, and
/// so one that takes longer keeps nobody from those before it.
const WHILE: Duration = Duration::from_micros(200);

impl Pool {
    /// Puts several jobs into the queue.
    pub(super) fn submit_several<F: Target>(&self, cell: &Arc<Cell>, payload: Bytes) -> Result<(), Refusal> {
        let target = self.target::<F>()?;
        self.shared.submit(cell, target, payload.into(), true)
    }

    /// Takes outcomes of a chunk into `taken`, waiting for some, and sets `is_done` with the last ones. An error where nobody will learn of
    /// them.
    pub(super) fn take_several(&self, cell: &Arc<Cell>, taken: &mut Outcomes, is_done: &mut bool) -> Option<JobError> {
        if let Some(error) = self.shared.lost() {
            return Some(error);
        }
        let chunk = cell.chunk.as_ref()?;
        loop {
            taken.clear();
            self.shared.wait_for_some(cell);
            *is_done = chunk.take(cell, taken);
            if *is_done || !taken.is_empty() {
                return None;
            }
        }
    }

    /// Takes back those of a chunk's jobs that have not started.
    pub(super) fn cancel_several(&self, cell: &Arc<Cell>) {
        if self.shared.is_copy() {
            return;
        }
        self.shared.with_core(|core| {
            let mut parts = vec![Arc::clone(cell)];
            while let Some(rest) = parts.last().and_then(|last| last.chunk.as_ref()?.rest()) {
                parts.push(rest);
            }
            parts.iter().rev().for_each(|part| {
                core.cancel(part);
            });
            core.dispatch();
        });
    }

    /// Whether jobs of `F` travel alone: where workers are replaced after a number of jobs, or rules hold for each.
    pub(super) fn go_alone<F: Target>(&self) -> bool {
        let Shared { settings, registry, counts_jobs, .. } = &*self.shared;
        let rules = || self.target::<F>().ok().and_then(|target| Rules::of(None, registry.get(target), settings));
        counts_jobs.load(Ordering::Relaxed) || settings.target_limits.iter().any(TargetLimits::are_of::<F>) || rules().is_some()
    }
}

impl Shared {
    /// Waits until there are outcomes of a chunk to be taken.
    fn wait_for_some(&self, cell: &Arc<Cell>) {
        // Asleep for the last one, first.
        let mut is_calm = true;
        while !cell.is_finished() {
            let mut core = self.lock();
            core.look_for(cell);
            is_calm &= is_short(core.mean);
            if cell.is_finished() {
                return self.unlock(core);
            }
            let view = if self.is_indirect.load(Ordering::Relaxed) { None } else { core.attend(cell) };
            if view.is_none() && !is_calm {
                core.note_watched(cell);
            }
            let time = is_calm.then_some(WHILE);
            match view {
                Some(view) => self.stay_for_some(core, view, cell, time),
                None => {
                    self.unlock(core);
                    cell.sleep(time);
                }
            }
            is_calm = false;
        }
    }

    /// Attends a link until there are outcomes, or the chunk is there no more, or the time is over. With a time, it sleeps for the last
    /// outcome.
    fn stay_for_some<'a>(&'a self, mut core: MutexGuard<'a, Core>, mut view: View, cell: &Arc<Cell>, time: Option<Duration>) {
        loop {
            let calls = view.glance.calls();
            let is_asked = core.ask_for_items(&view, cell, time.is_none());
            // What is not seen now is called for.
            armed();
            if !core.look(&mut view) || cell.is_finished() || !is_asked {
                core.leave(&view);
                return self.unlock(core);
            }
            self.unlock(core);
            let waited = match time {
                _ if !cell.await_end() => Wait::Woken,
                Some(_) => view.glance.sleep_long(calls, cell.end_word(), AWAITED, time),
                None => view.glance.sleep(cell.end_word(), AWAITED, None),
            };
            cell.stop_awaiting();
            if waited == Wait::Unsupported {
                self.is_indirect.store(true, Ordering::Relaxed);
            }
            core = self.lock();
            if time.is_some() || waited == Wait::Unsupported {
                core.look(&mut view);
                core.leave(&view);
                return self.unlock(core);
            }
        }
    }
}

impl Core {
    /// As [`ask_for_call`](Self::ask_for_call), for the last result of a chunk, or for the `next` one.
    fn ask_for_items(&mut self, view: &View, cell: &Arc<Cell>, next: bool) -> bool {
        let Some((_, position)) = self.whereabouts(cell).filter(|(slot, _)| *slot == view.slot()) else { return false };
        let Some(process) = self.attended(view) else { return false };
        if !next && (position > 0 || process.is_watched()) {
            return false;
        }
        let oldest = process.link.oldest();
        process.link.want(match position {
            _ if !next => Call::Late(oldest),
            // A result of an item counts as one more response to the request before.
            0 => Call::Thread(oldest.wrapping_sub(1)),
            _ => Call::Thread(oldest),
        });
        true
    }
}
