//! How a thread of the parent looks for the next response without the pool's lock, and sleeps until it is there.

use std::sync::Arc;
use std::time::Duration;

use super::bell::{armed, spin};
use super::memory::{Memory, SharedMemory};
use super::sync::{AtomicU32, Ordering};
use crate::sys::{Wait, futex_wait_either};

/// A view of a link as it was when all its responses had been taken.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    memory: Arc<SharedMemory>,
    head: u64,
}

impl Glance {
    pub(super) fn new(memory: Arc<SharedMemory>, head: u64) -> Self {
        Self { memory, head }
    }

    /// Whether there is a response, or something else than a response, that was not taken yet.
    pub(crate) fn has_news(&self) -> bool {
        // Relaxed: whoever takes the response looks once more, with Acquire.
        self.memory.worker_page().tail.0.load(Ordering::Relaxed) != self.head
    }

    /// Looks up to `spins` times; whether there is news, or `done` holds.
    pub(crate) fn spin(&self, spins: u32, done: impl Fn() -> bool) -> bool {
        spin(spins, || self.has_news() || done())
    }

    /// How often the worker has called a thread that sleeps for a late response: to be asked before such a call is asked for.
    pub(crate) fn calls(&self) -> u32 {
        self.memory.worker_page().calls.0.load(Ordering::Relaxed)
    }

    /// Sleeps until a late response is called for, after so many `calls`, or `other` is not `expected` any more, or the time is
    /// over; may return early. What was there before the call was asked for is to be looked at between.
    pub(crate) fn sleep_long(&self, calls: u32, other: &AtomicU32, expected: u32, time: Option<Duration>) -> Wait {
        futex_wait_either((self.memory.calls_word(), calls), (std::ptr::from_ref(other).cast(), expected), time)
    }

    /// Sleeps until there is news that a call was asked for, or `other` is not `expected` any more, or the time is over; may
    /// return early. `Wait::Unsupported` where the system cannot wait for both.
    pub(crate) fn sleep(&self, other: &AtomicU32, expected: u32, time: Option<Duration>) -> Wait {
        armed();
        if self.has_news() {
            return Wait::Woken;
        }
        // The low half: a frame moves it, and no more than a ring's length.
        let seen = u32::try_from(self.head & u64::from(u32::MAX)).unwrap_or(0);
        futex_wait_either((self.memory.tail_word(), seen), (std::ptr::from_ref(other).cast(), expected), time)
    }
}
