//! Sleeping on words of memory: of one process's own, or such that two processes share.

use std::io;
use std::ptr;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

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

/// The longest that anybody sleeps at once: some thirty years, which can be added to any time of the clock. Callers look again.
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// How a wait for one of two words ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Look again.
    Woken,
    /// The system has no such call: Linux has since 5.16, and filters of system calls may not know it.
    Unsupported,
}

/// Sleeps while the word `shared` with other processes and the process's `own` word both equal what stands beside them, for at
/// most `time`; returns on a wake-up of either, a signal or a changed word.
pub(crate) fn futex_wait_either(shared: (*const u32, u32), own: (*const u32, u32), time: Option<Duration>) -> Wait {
    /// `struct futex_waitv` (futex2(2), `<linux/futex.h>`).
    #[repr(C)]
    struct Waiter {
        expected: u64,
        address: u64,
        flags: u32,
        reserved: u32,
    }
    const FUTEX2_SIZE_U32: u32 = 2;
    const FUTEX2_PRIVATE: u32 = 128;
    let waiter = |(word, expected): (*const u32, u32), flags: u32| Waiter {
        expected: expected.into(),
        address: word.addr() as u64,
        flags: FUTEX2_SIZE_U32 | flags,
        reserved: 0,
    };
    let waiters = [waiter(shared, 0), waiter(own, FUTEX2_PRIVATE)];
    let time = time.map(|time| time.min(LONGEST));
    let until = time.and_then(|time| Some(clock_gettime(ClockId::CLOCK_MONOTONIC).ok()? + TimeSpec::from_duration(time)));
    let until = until.as_ref().map_or(ptr::null(), |until| ptr::from_ref(until.as_ref()));
    // SAFETY: the kernel reads two live structures and, if there is a time, a live timespec; the words it only reads, and checks
    // their addresses itself, as FUTEX_WAIT does.
    let code = unsafe { libc::syscall(libc::SYS_futex_waitv, waiters.as_ptr(), waiters.len(), 0, until, libc::CLOCK_MONOTONIC) };
    // What the call answers where it exists: EAGAIN, EINTR, ETIMEDOUT.
    let known = [libc::EAGAIN, libc::EINTR, libc::ETIMEDOUT];
    let failed = code < 0 && io::Error::last_os_error().raw_os_error().is_none_or(|error| !known.contains(&error));
    if failed { Wait::Unsupported } else { Wait::Woken }
}

/// Sleeps while a word of this process equals `expected`, for at most `time`; returns early as [`futex_wait`] does.
pub(crate) fn futex_wait_own(word: *const u32, expected: u32, time: Option<Duration>) {
    let time = time.map(|time| TimeSpec::from_duration(time.min(LONGEST)));
    let time = time.as_ref().map_or(ptr::null(), |time| ptr::from_ref(time.as_ref()));
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: as in `futex_wait`; the time, if there is one, is a live timespec.
    unsafe { libc::syscall(libc::SYS_futex, word, operation, expected, time) };
}

/// Wakes all threads of this process that sleep on the word at `word`.
pub(crate) fn futex_wake_own(word: *const u32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: as in `futex_wake`.
    unsafe { libc::syscall(libc::SYS_futex, word, operation, i32::MAX) };
}
