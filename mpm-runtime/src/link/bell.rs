//! Waking, without a lost wake-up and without a system call where nobody sleeps.
//!
//! Both directions use the same two-step of Dekker: one side publishes, fences and looks whether the other sleeps; the
//! other says that it sleeps, fences and looks again for what was published. With a sequentially consistent fence between
//! each side's store and load, at least one of them sees the other (C++ `[atomics.order]`; the loom models in `tests/models.rs`
//! run it in every order that loom knows, with a full ring in those of at most three preemptions).
//!
//! | word | written by | means |
//! |---|---|---|
//! | `bell` (worker page) | worker: ASLEEP before it sleeps, AWAKE after; parent: AWAKE when it wakes it | a wake-up call is needed |
//! | `armed` (parent page) | parent | a doorbell ring is needed |
//!
//! The parent's word lies in memory that the worker cannot write, so that no stray write of a worker can keep the parent
//! asleep; a bell that a worker damages puts to sleep that worker alone.

use super::memory::Memory;
use super::sync::{Ordering, fence, spin_loop};

pub(crate) const AWAKE: u32 = 0;
pub(crate) const ASLEEP: u32 = 1;

/// Worker: waits until `ready` holds: a short spin where that can help, then sleep.
pub(crate) fn wait(memory: &impl Memory, spins: u32, ready: impl Fn() -> bool) {
    for _ in 0..spins {
        if ready() {
            return;
        }
        spin_loop();
    }
    let bell = &memory.worker_page().bell.0;
    loop {
        bell.store(ASLEEP, Ordering::Relaxed);
        // Pairs with the fence in `wake_worker`.
        fence(Ordering::SeqCst);
        if ready() {
            break;
        }
        memory.sleep();
        if ready() {
            break;
        }
    }
    bell.store(AWAKE, Ordering::Relaxed);
}

/// Parent: call after publishing something that the worker may sleep for.
pub(crate) fn wake_worker(memory: &impl Memory) {
    let bell = &memory.worker_page().bell.0;
    // Pairs with the fence in `wait`.
    fence(Ordering::SeqCst);
    // Anything but AWAKE: should a job have written over the bell, one call too many is the lesser harm.
    if bell.load(Ordering::Relaxed) != AWAKE {
        bell.store(AWAKE, Ordering::Relaxed);
        memory.wake();
    }
}

/// Parent: asks for a ring at the next response. Call [`armed`] after the last of several links, and look for responses
/// once more after that, before sleeping.
pub(crate) fn arm(memory: &impl Memory) {
    memory.parent_page().armed.0.store(1, Ordering::Relaxed);
}

/// Parent: what was armed before this is armed for every response that is not seen after it.
pub(crate) fn armed() {
    // Pairs with the fence in `ring_parent`.
    fence(Ordering::SeqCst);
}

/// Parent: is awake and will look for responses by itself.
pub(crate) fn disarm(memory: &impl Memory) {
    memory.parent_page().armed.0.store(0, Ordering::Relaxed);
}

/// Worker: call after publishing a response.
pub(crate) fn ring_parent(memory: &impl Memory) {
    // Pairs with the fence in `armed`.
    fence(Ordering::SeqCst);
    if memory.parent_page().armed.0.load(Ordering::Relaxed) != 0 {
        memory.ring();
    }
}
