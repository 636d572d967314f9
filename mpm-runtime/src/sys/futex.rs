//! Sleeping on a word of memory that two processes share.

use std::io;
use std::ptr;
use std::time::Duration;

/// Sleeps while the word at `word` equals `expected`; returns on a wake-up, a signal, a changed word or the time-out.
///
/// Callers look again at whatever they wait for, so every return means only "look again".
pub(crate) fn futex_wait(word: *const u32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|d| libc::timespec {
        tv_sec: libc::time_t::try_from(d.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(d.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: FUTEX_WAIT only reads the 32-bit word, and the kernel checks the address itself: a bad one is answered
    // with EFAULT, not with a fault (futex(2), ERRORS). `timeout` is null or points to a live timespec.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, timeout) };
}

/// Wakes one process that sleeps on the word at `word`.
pub(crate) fn futex_wake(word: *const u32) {
    // SAFETY: FUTEX_WAKE uses the address only as a key and never dereferences it for us (futex(2)).
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, 1) };
    debug_assert!(woken >= 0, "futex wake: {}", io::Error::last_os_error());
}
