//! How a thread waits for a job: it takes the response in by itself, spinning first where that is of use, then asleep on the
//! link, where the worker wakes it; only where another thread does so already it leaves that to others.

use std::sync::Arc;
use std::time::Instant;

use super::attend::View;
use super::cell::{AWAITED, Cell, Facts, Raw};
use super::core::Core;
use super::shared::Shared;
use super::spare::Held;
use super::watcher::{Finished, Watcher, remaining};
use crate::error::{JobError, Refusal};
use crate::link::Payload;
use crate::link::sync::Ordering;
use crate::sys::Wait;

impl Shared {
    /// Puts a job into the queue and waits for its end: as a submission and a wait, in one step less.
    pub(super) fn run(&self, cell: &Held, target: u32, payload: Payload) -> Result<Option<Result<Raw, JobError>>, Refusal> {
        let mut core = self.enter(cell, target, payload, true)?;
        core.hand_out();
        // Before it is published: its worker shall call nobody.
        let view = self.attend(&mut core, cell);
        core.publish_all();
        self.unlock(core);
        if let Some(view) = view {
            self.stay(view, cell, None);
        }
        Ok(cell.take().or_else(|| self.wait(cell, None)))
    }

    /// Waits for the end of a job. `None` when the time is over.
    pub(super) fn wait(&self, cell: &Arc<Cell>, until: Option<Instant>) -> Option<Result<Raw, JobError>> {
        if let Some(error) = self.lost() {
            return Some(Err(error));
        }
        loop {
            if let Some(outcome) = cell.take() {
                return Some(outcome);
            }
            let Some(left) = remaining(until) else {
                return self.has_ended(cell).then(|| cell.take()).flatten();
            };
            let mut core = self.lock();
            let view = self.attend(&mut core, cell);
            if view.is_none() {
                core.note_watched(cell);
            }
            self.unlock(core);
            match view {
                Some(view) => self.stay(view, cell, until),
                None => {
                    cell.sleep(left);
                }
            }
        }
    }

    fn attend(&self, core: &mut Core, cell: &Arc<Cell>) -> Option<View> {
        if self.is_indirect.load(Ordering::Relaxed) { None } else { core.attend(cell) }
    }

    /// Attends a link until the job of `cell` has ended there, or is there no more, or the time is over.
    fn stay(&self, mut view: View, cell: &Arc<Cell>, until: Option<Instant>) {
        let mut spins = view.spins;
        loop {
            let found = view.glance.spin(spins, || cell.is_finished());
            let mut core = self.lock();
            if spins > 0 {
                core.patience.learn(found);
            }
            if !core.look(&mut view) {
                return self.unlock(core);
            }
            let left = remaining(until).filter(|_| !cell.is_finished());
            let Some(left) = left else {
                core.leave(&view);
                return self.unlock(core);
            };
            if found && core.is_at(&view, cell) {
                // Others' responses, so far.
                self.unlock(core);
                continue;
            }
            if !core.ask_for_call(&view, cell) {
                core.leave(&view);
                return self.unlock(core);
            }
            self.unlock(core);
            spins = 0;
            let slept = if cell.await_end() { view.glance.sleep(cell.end_word(), AWAITED, left) } else { Wait::Woken };
            cell.stop_awaiting();
            if slept == Wait::Unsupported {
                self.is_indirect.store(true, Ordering::Relaxed);
                let mut core = self.lock();
                core.leave(&view);
                return self.unlock(core);
            }
        }
    }

    /// Whether a job has ended, as far as the workers have said so.
    pub(super) fn has_ended(&self, cell: &Arc<Cell>) -> bool {
        if !cell.is_finished()
            && let Ok(mut core) = self.core.try_lock()
        {
            core.look_for(cell);
            self.unlock(core);
        }
        cell.is_finished()
    }

    /// How a job went, or how far it has come.
    pub(super) fn facts(&self, cell: &Arc<Cell>) -> Facts {
        if self.has_ended(cell) { cell.facts() } else { self.with_core(|core| core.facts_so_far(cell)) }
    }

    /// The name of the worker in a slot.
    pub(super) fn worker_name(&self, slot: u32) -> String {
        format!("{}-{slot}", self.settings.name)
    }

    /// Has `watcher` told of the end of a job.
    pub(super) fn watch(&self, cell: &Arc<Cell>, watcher: Watcher) {
        cell.watch(watcher);
        if !cell.is_finished() {
            self.with_core(|core| core.note_watched(cell));
        }
    }

    /// Has `list` told of the end of a job.
    pub(super) fn list(&self, cell: &Arc<Cell>, list: &Arc<Finished>, index: usize) {
        self.watch(cell, Watcher::List(Arc::clone(list), index));
    }
}
