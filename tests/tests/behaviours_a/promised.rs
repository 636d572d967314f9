//! The unsafe ways to fork: what a test promises by them, and why it may.

#![expect(unsafe_code, reason = "these functions are what is tested")]

use mpm::{Builder, Pool, Process, ProcessBuilder, Target};

/// Builds a pool, whatever threads there are. They must sleep, and hold no lock.
pub(crate) fn build(builder: Builder) -> mpm::Result<Pool> {
    // SAFETY: the only other thread sleeps on a channel of its own, which no job and no worker touches.
    unsafe { builder.build_despite_threads() }
}

/// Starts a process, whatever threads there are. They must sleep, and hold no lock.
pub(crate) fn start<F: Target>(builder: ProcessBuilder<'_, F>) -> mpm::Result<Process<F::Output>> {
    // SAFETY: as in `build`.
    unsafe { builder.start_despite_threads() }
}

/// Runs a closure that adds numbers in a copy, whatever threads there are. They must sleep, and hold no lock.
pub(crate) fn isolate(run: fn() -> u32) -> mpm::Result<u32> {
    // SAFETY: as in `build`.
    unsafe { mpm::isolate_despite_threads(run) }
}
