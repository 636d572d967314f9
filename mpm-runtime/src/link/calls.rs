//! What the parent's end tells its worker besides requests: when to call, and when to end; and how a thread looks for responses
//! without it.

use std::sync::Arc;

use super::bell::{self, Call};
use super::glance::Glance;
use super::memory::Memory;
use super::parent::ParentEnd;
use super::sync::Ordering;

impl ParentEnd {
    /// Says when the worker is to call, from [`armed`](super::armed) on. Look for responses once more then.
    pub(crate) fn want(&mut self, call: Call) {
        self.wanted.ask(&*self.memory, call);
    }

    /// When the worker is to call.
    pub(crate) fn wanted(&self) -> Call {
        self.wanted.call()
    }

    /// What a thread needs to look for responses without this end, as long as nobody else takes them.
    pub(crate) fn glance(&self) -> Glance {
        Glance::new(Arc::clone(&self.memory), self.reader.head())
    }

    /// Tells the worker to end once it has no claimed job.
    pub(crate) fn stop(&self) {
        // The fences of the bell order this store; the worker looks at it only to decide whether to sleep.
        self.memory.parent_page().stop.0.store(1, Ordering::Relaxed);
        bell::wake_worker(&*self.memory);
    }
}
