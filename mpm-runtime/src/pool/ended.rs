//! Jobs that end: each gets its outcome at once, under the pool's lock; who waits for it is told when the lock is gone.
//!
//! Threads are told by whoever has taken the response in. Tasks are told by the supervisor alone: their wakers are code of the
//! user's, which may want a lock that the thread holds that just polls or submits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::again::Judged;
use super::callbacks::Callbacks;
use super::calls::guarded;
use super::cell::{Cell, Facts, Raw};
use super::events::EventKind;
use super::rules::Retrying;
use super::watcher::Tell;
use crate::error::JobError;
use crate::registry::Judge;

/// Code of the user's, whose drop is his too: not to be dropped under the pool's lock.
#[derive(Default)]
pub(super) struct Bin(Vec<Judge>);

impl Bin {
    /// Drops what is in it, without the lock. The panic of a drop is nobody's but its own.
    pub(super) fn empty(self) {
        self.0.into_iter().for_each(|judge| guarded(|| drop(judge)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bin({})", self.0.len())
    }
}

#[derive(Debug, Default)]
pub(super) struct Ended {
    told: SmallVec<[Tell; 1]>,
    tasks: Vec<Tell>,
    /// Jobs that have ended since the last look, or a try at them.
    count: usize,
    /// Jobs that are to be tried again, after that time.
    pub(super) again: Vec<(Duration, Judged)>,
    /// Jobs whose results somebody judges first.
    pub(super) judged: Vec<Judged>,
    bin: Bin,
    /// Of the pool, but for one that stands in for another for a moment.
    callbacks: Option<Arc<Callbacks>>,
}

impl Ended {
    pub(super) fn new(callbacks: Arc<Callbacks>) -> Self {
        Self { callbacks: Some(callbacks), ..Self::default() }
    }

    /// Ends a try at a job: the job, unless it is tried again.
    #[inline]
    pub(super) fn end(&mut self, cell: Arc<Cell>, outcome: Raw, facts: Facts) {
        self.count += 1;
        match cell.retrying() {
            None => self.end_for_good(cell, outcome, facts),
            Some(retrying) => self.end_try(Arc::clone(&cell), retrying, outcome, facts),
        }
    }

    /// Ends a job that is not tried again.
    #[inline]
    pub(super) fn end_for_good(&mut self, cell: Arc<Cell>, outcome: Raw, facts: Facts) {
        if let Raw::Failed(error) = &outcome {
            self.tell_failed(&cell, error);
        }
        let tell = if cell.rules.is_some() { self.end_by_rules(cell, outcome, facts) } else { cell.finish(outcome, facts) };
        self.note(tell);
    }

    /// Ends a job for which something holds.
    fn end_by_rules(&mut self, cell: Arc<Cell>, outcome: Raw, facts: Facts) -> Option<Tell> {
        let calls = cell.on_done().is_some().then(|| Arc::clone(&cell));
        self.bin.0.extend(cell.retrying().and_then(Retrying::take_judge));
        let tell = cell.finish(outcome, facts);
        if let (Some(cell), Some(callbacks)) = (calls, &self.callbacks) {
            callbacks.done(&cell);
        }
        tell
    }

    fn note(&mut self, tell: Option<Tell>) {
        match tell {
            None => {}
            Some(tell) if tell.has_task() => self.tasks.push(tell),
            Some(tell) => self.told.push(tell),
        }
    }

    /// Tells whoever listens of the jobs of `cell` that end now without a value.
    fn tell_failed(&self, cell: &Cell, error: &JobError) {
        if self.callbacks.as_ref().is_some_and(|callbacks| callbacks.listens()) {
            cell.open_ids().for_each(|id| self.item_failed(cell, id, || error.clone().of_job(id)));
        }
    }

    /// The same of one job of a chunk.
    pub(super) fn item_failed(&self, cell: &Cell, job: u64, error: impl FnOnce() -> JobError) {
        if let Some(callbacks) = &self.callbacks {
            callbacks.emit(|| EventKind::JobFailed { job, target: cell.target, error: error() });
        }
    }

    /// Tells of a job that is tried again.
    pub(super) fn retried(&self, cell: &Cell, outcome: &Raw, retry_in: Duration) {
        if let Some(callbacks) = &self.callbacks {
            callbacks.emit(|| {
                let error = match outcome {
                    Raw::Failed(error) => Some(error.clone()),
                    Raw::Value(_) => None,
                };
                // The next one is counted already.
                EventKind::JobRetried { job: cell.id(), target: cell.target, attempt: cell.attempt() - 1, error, retry_in }
            });
        }
    }

    /// So many jobs of a chunk have ended, and somebody may have to be told.
    pub(super) fn several(&mut self, count: u32, tell: Option<Tell>) {
        self.count += count as usize;
        self.told.extend(tell);
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those to be told by any thread, and whether any job has ended.
    pub(super) fn take(&mut self) -> (SmallVec<[Tell; 1]>, bool) {
        (std::mem::take(&mut self.told), std::mem::take(&mut self.count) > 0)
    }

    /// What is to be dropped without the lock.
    pub(super) fn take_bin(&mut self) -> Bin {
        std::mem::take(&mut self.bin)
    }

    /// Whether nobody is to be told of anything, and nothing is to be dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.tasks.is_empty() && self.bin.is_empty()
    }

    /// Whether there is somebody to be told by the supervisor.
    pub(super) fn has_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Those to be told by the supervisor.
    pub(super) fn take_tasks(&mut self) -> Vec<Tell> {
        std::mem::take(&mut self.tasks)
    }
}
