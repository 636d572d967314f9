//! The place of the pool that a job was named for: each in its turn, where jobs are handed out in fixed order; one run in each, for
//! a broadcast.

use crate::link::sync::{AtomicU32, AtomicU64, Ordering};

/// Where a job is to run. Relaxed throughout: the pool's lock orders it.
#[derive(Debug)]
pub(super) struct Pin {
    slot: AtomicU32,
    /// The process that the job was bound to; 0 for none.
    incarnation: AtomicU64,
    /// Another process in the same place will not do.
    is_personal: bool,
}

impl Pin {
    /// For a job that gets its place when it comes into the queue.
    pub(super) fn in_turn() -> Self {
        Self::new(u32::MAX, false)
    }

    /// For the worker in this slot and no other.
    pub(super) fn to_worker(slot: u32) -> Self {
        Self::new(slot, true)
    }

    fn new(slot: u32, is_personal: bool) -> Self {
        Self { slot: AtomicU32::new(slot), incarnation: AtomicU64::new(0), is_personal }
    }

    /// `None` for one whose turn has still to come.
    pub(super) fn slot(&self) -> Option<usize> {
        let slot = self.slot.load(Ordering::Relaxed);
        if slot == u32::MAX { None } else { usize::try_from(slot).ok() }
    }

    pub(super) fn set_slot(&self, slot: usize) {
        self.slot.store(u32::try_from(slot).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whether it is for one worker alone.
    pub(super) fn is_personal(&self) -> bool {
        self.is_personal
    }

    /// The worker in its place has this incarnation, 0 for nobody who takes jobs. A job that is for one worker alone is for the first
    /// that is met.
    pub(super) fn meet(&self, incarnation: u64) {
        if self.is_personal && self.incarnation.load(Ordering::Relaxed) == 0 {
            self.incarnation.store(incarnation, Ordering::Relaxed);
        }
    }

    /// Whether the process of this incarnation may run the job.
    pub(super) fn is_for(&self, incarnation: u64) -> bool {
        let bound = self.incarnation.load(Ordering::Relaxed);
        bound == 0 || bound == incarnation
    }
}
