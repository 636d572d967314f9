//! Sleeping on a word of memory that two processes share.

use std::io;
use std::ptr;

/// Sleeps while the word at `word` equals `expected`; returns on a wake-up, a signal or a changed word.
///
/// Callers look again at whatever they wait for, so every return means only "look again".
pub(crate) fn futex_wait(word: *const u32, expected: u32) {
    // SAFETY: FUTEX_WAIT only reads the 32-bit word, and the kernel checks the address itself: a bad one is answered
    // with EFAULT, not with a fault (futex(2), ERRORS). A null time-out means none.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, ptr::null::<libc::timespec>()) };
}

/// Wakes one process that sleeps on the word at `word`.
pub(crate) fn futex_wake(word: *const u32) {
    // SAFETY: FUTEX_WAKE uses the address only as a key and never dereferences it for us (futex(2)).
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, 1) };
    debug_assert!(woken >= 0, "futex wake: {}", io::Error::last_os_error());
}
