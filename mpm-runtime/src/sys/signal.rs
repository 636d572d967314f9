//! Signals: what worker processes and helper threads do with them, and their names.

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};

/// The interrupt of a terminal.
pub(crate) const SIGINT: i32 = Signal::SIGINT as i32;
/// The polite request to end.
pub(crate) const SIGTERM: i32 = Signal::SIGTERM as i32;

/// Leaves Ctrl-C to the parent: this process ignores SIGINT from now on.
pub(crate) fn ignore_interrupt() {
    // SAFETY: SIG_IGN installs no code that could run in a signal context (signal(2)).
    let _ = unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) };
}

/// This process ends by SIGINT again, unless its user's code has it do something else.
pub(crate) fn heed_interrupt() {
    // SAFETY: SIG_DFL installs no code (signal(2)).
    let _ = unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) };
}

/// This process does not end by SIGTERM from now on; whether that had been so before.
pub(crate) fn ignore_terminate() -> bool {
    // SAFETY: SIG_IGN installs no code that could run in a signal context (signal(2)).
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.is_ok_and(|before| matches!(before, SigHandler::SigIgn))
}

/// This process ends by SIGTERM again.
pub(crate) fn heed_terminate() {
    // SAFETY: SIG_DFL installs no code (signal(2)).
    let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigDfl) };
}

/// Has the ends of children kept for this process to reap; whether it had ignored them.
pub(crate) fn watch_children() -> bool {
    // SAFETY: SIG_DFL installs no code that could run in a signal context (signal(2)).
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.is_ok_and(|before| matches!(before, SigHandler::SigIgn))
}

/// Ignores the ends of children, which then need no reaping.
pub(crate) fn ignore_child_signal() {
    // SAFETY: SIG_IGN installs no code that could run in a signal context (signal(2)).
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
}

/// Blocks all signals in the calling thread, so that the program's handlers run on the program's own threads.
pub(super) fn block_all_signals() {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// The name of signal `number`, such as `SIGKILL`; real-time signals are named by their number.
pub(crate) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |s| s.as_str().to_owned())
}
