//! Jobs that end: each gets its outcome at once, under the pool's lock; who waits for it is told when the lock is gone.

use std::sync::Arc;

use smallvec::SmallVec;

use super::cell::{Cell, Facts, Raw, Tell};

#[derive(Debug, Default)]
pub(super) struct Ended {
    told: SmallVec<[Tell; 1]>,
    /// Jobs that have ended since the last look.
    count: usize,
}

impl Ended {
    pub(super) fn end(&mut self, cell: Arc<Cell>, outcome: Raw, facts: Facts) {
        self.count += 1;
        self.told.extend(cell.finish(outcome, facts));
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those to be told, and whether any job has ended.
    pub(super) fn take(&mut self) -> (SmallVec<[Tell; 1]>, bool) {
        (std::mem::take(&mut self.told), std::mem::take(&mut self.count) > 0)
    }
}
