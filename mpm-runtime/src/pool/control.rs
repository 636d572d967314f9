//! What handles do to jobs that were submitted: take them back, end them, ask how far they are.

use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::shared::Shared;

impl Shared {
    /// Takes a job back that no worker has started; whether it was.
    pub(super) fn cancel(&self, cell: &Arc<Cell>) -> bool {
        if self.is_copy() {
            return false;
        }
        self.with_core(|core| {
            let cancelled = core.cancel(cell);
            core.dispatch();
            cancelled
        })
    }

    /// How far a running job has come, as it says.
    pub(super) fn progress(&self, cell: &Arc<Cell>) -> Option<(u64, u64)> {
        self.with_core(|core| {
            let (slot, position) = core.whereabouts(cell)?;
            let process = core.members.get(slot)?.process.as_ref()?;
            let progress = process.link.progress(process.link.oldest().wrapping_add(position))?;
            Some((progress.done, progress.total))
        })
    }

    /// Ends a job whether it has started or not; false if it has ended.
    pub(super) fn abort(&self, cell: &Arc<Cell>) -> bool {
        if self.is_copy() {
            return false;
        }
        self.with_core(|core| {
            let ends = core.withdraw_for_abort(cell) || core.abort(cell, Instant::now(), self.settings.grace);
            core.dispatch();
            ends
        })
    }
}
