//! How large a worker may be after a job: the parent sets a limit, the worker looks and tells.

use super::memory::Memory;
use super::parent::ParentEnd;
use super::sync::Ordering;
use super::worker::WorkerEnd;
use crate::sys::{last_tick_nanos, resident};

impl ParentEnd {
    /// Sets how many bytes the worker may hold after a job; 0 for no limit.
    pub(crate) fn limit_size(&self, bytes: u64) {
        self.memory.parent_page().max_size.0.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes the worker held when it last said that these were too many; 0 if it never did.
    pub(crate) fn oversize(&self) -> u64 {
        self.memory.worker_page().oversize.0.load(Ordering::Relaxed)
    }
}

impl WorkerEnd {
    /// After a job: tells the parent if this process has become too large. It looks once in a tick of the kernel's clock, some
    /// milliseconds, in which it cannot grow by much.
    pub(crate) fn check_size(&mut self) {
        let most = self.memory.parent_page().max_size.0.load(Ordering::Relaxed);
        if most > 0 {
            self.measure(most);
        }
    }

    #[cold]
    fn measure(&mut self, most: u64) {
        let tick = last_tick_nanos();
        if self.measured == tick {
            return;
        }
        self.measured = tick;
        // The next job does not begin where the last one ended.
        self.clock = 0;
        if let Some(size) = resident().filter(|size| *size > most) {
            let told = self.memory.worker_page().oversize.0.swap(size, Ordering::Relaxed);
            if told <= most {
                self.memory.ring();
            }
        }
    }
}
