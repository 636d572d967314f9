//! System calls that a test makes for itself, or that a job makes as its own work: each is safe for the caller's memory.

#![expect(unsafe_code, reason = "these calls have no safe form in std")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

#[track_caller]
fn check(what: &str, result: libc::c_int) -> libc::c_int {
    assert_ne!(result, -1, "{what}: {}", io::Error::last_os_error());
    result
}

/// Which of these descriptors are ready for reading, after a wait of `limit` at most, or until one is.
///
/// # Panics
/// If the system refuses.
#[must_use]
pub fn readable(fds: &[BorrowedFd<'_>], limit: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<_> = fds.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    let limit = limit.map_or(-1, |limit| libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX));
    let count = libc::nfds_t::try_from(polled.len()).expect("a short list");
    // SAFETY: poll(2) reads and writes the `count` live structures of the list.
    check("poll", unsafe { libc::poll(polled.as_mut_ptr(), count, limit) });
    polled.iter().map(|polled| polled.revents != 0).collect()
}

/// Sends a message on each socket that this process has open, whoever owns it. What cannot be sent at once is not.
///
/// # Panics
/// If there is no `/proc`.
pub fn send_on_all_sockets(message: &[u8]) {
    for entry in std::fs::read_dir("/proc/self/fd").expect("the open files").flatten() {
        let is_socket = std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()).filter(|_| is_socket) {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: send(2) reads the live bytes; a number that is no socket any more is answered with an error.
            unsafe { libc::send(number, message.as_ptr().cast(), message.len(), flags) };
        }
    }
}

/// Makes `number` a second descriptor of what `fd` means, one that stays open over `exec`. It is nobody's to close.
///
/// # Panics
/// If the system refuses, or the number is taken.
pub fn open_at(fd: BorrowedFd<'_>, number: i32) {
    // SAFETY: F_GETFD only looks at a descriptor number, open or not (fcntl(2)).
    assert_eq!(unsafe { libc::fcntl(number, libc::F_GETFD) }, -1, "descriptor {number} is in use");
    // SAFETY: dup2(2) takes two numbers; the second is free, so nobody loses what he owns.
    check("dup2", unsafe { libc::dup2(fd.as_raw_fd(), number) });
}

/// Lets the calling process lead a session, and so a group, of its own.
///
/// # Panics
/// If it leads one already.
pub fn lead_session() {
    // SAFETY: setsid(2) takes nothing and touches no memory of ours.
    check("setsid", unsafe { libc::setsid() });
}

/// Has `hook` run when this process exits.
///
/// # Panics
/// If there is no room for it.
pub fn at_exit(hook: extern "C" fn()) {
    // SAFETY: the function lives as long as the program and may be called by `exit` on any thread (atexit(3)).
    assert_eq!(unsafe { libc::atexit(hook) }, 0, "atexit refuses");
}

static CODE: AtomicI32 = AtomicI32::new(0);

extern "C" fn leave(_: libc::c_int) {
    // SAFETY: takes a number, does not return, and is async-signal-safe (signal-safety(7)).
    unsafe { libc::_exit(CODE.load(Ordering::Relaxed)) };
}

/// Has this process exit with `code` when the signal comes.
///
/// # Panics
/// If the signal cannot be caught.
pub fn exit_on_signal(signal: i32, code: i32) {
    CODE.store(code, Ordering::Relaxed);
    let handler: extern "C" fn(libc::c_int) = leave;
    // SAFETY: the handler loads an atomic and calls _exit(2), both of which are safe in a signal context.
    let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR, "signal: {}", io::Error::last_os_error());
}

static NOTED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    NOTED.store(signal, Ordering::Relaxed);
}

/// Has this process take note of a signal from now on, and go on.
///
/// # Panics
/// If the system refuses.
pub fn note_signal(signal: i32) {
    // SAFETY: all-zero is a valid sigaction: no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int) = note;
    (action.sa_sigaction, action.sa_flags) = (handler as libc::sighandler_t, libc::SA_RESTART);
    // SAFETY: the structure is initialised; the handler only stores an atomic, which is safe in a signal context
    // (signal-safety(7)).
    check("sigaction", unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) });
}

/// The signal of which this process last took note; 0 before the first.
#[must_use]
pub fn noted_signal() -> i32 {
    NOTED.load(Ordering::Relaxed)
}
