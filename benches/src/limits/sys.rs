//! The system's calls as this program needs them: no crate, no care for what goes wrong.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

unsafe extern "C" {
    static environ: *const *mut c_char;
    fn _exit(code: c_int) -> !;
    fn close(fd: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn fork() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn mmap(at: *mut c_void, len: usize, access: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn prctl(option: c_int, ...) -> c_int;
    fn read(fd: c_int, into: *mut c_void, len: usize) -> isize;
    fn sched_getaffinity(pid: c_int, len: usize, mask: *mut u64) -> c_int;
    fn sched_setaffinity(pid: c_int, len: usize, mask: *const u64) -> c_int;
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, ends: *mut c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn write(fd: c_int, from: *const c_void, len: usize) -> isize;
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        argv: *const *const c_char,
        envp: *const *mut c_char,
    ) -> c_int;
}

/// The two words of a request or an answer over a socket.
pub(crate) type Words = [u32; 2];

/// Two ends of a socket; the second survives an exec.
pub(crate) fn pair() -> (c_int, c_int) {
    const AF_UNIX: c_int = 1;
    const SOCK_STREAM_CLOEXEC: c_int = 1 | 0o2_000_000;
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two numbers that the call writes.
    assert_eq!(unsafe { socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ends.as_mut_ptr()) }, 0);
    // SAFETY: F_SETFD (2) takes a number.
    unsafe { fcntl(ends[1], 2, 0) };
    (ends[0], ends[1])
}

pub(crate) fn shut(fd: c_int) {
    // SAFETY: takes a number; whoever asks owns the end and uses it no more.
    unsafe { close(fd) };
}

/// What came; `None` when nobody is at the other end any more.
pub(crate) fn get(fd: c_int) -> Option<Words> {
    let mut words = [0; 2];
    // SAFETY: the array has room for the eight bytes that are asked for.
    (unsafe { read(fd, words.as_mut_ptr().cast(), 8) } == 8).then_some(words)
}

/// Sends; that nobody is at the other end any more, the next `get` tells.
pub(crate) fn put(fd: c_int, words: Words) {
    // SAFETY: the array has the eight bytes that are offered.
    unsafe { write(fd, words.as_ptr().cast(), 8) };
}

/// A copy of this process that runs `body` and ends with its result, or when this process ends.
pub(crate) fn copy(body: impl FnOnce() -> u32) -> c_int {
    // SAFETY: this program has one thread, so its copy may do whatever it may.
    match unsafe { fork() } {
        0 => {
            // SAFETY: PR_SET_PDEATHSIG (1) takes a number.
            unsafe { prctl(1, 9) };
            let code = body();
            // SAFETY: takes a number.
            unsafe { _exit(code.cast_signed()) }
        }
        pid => pid,
    }
}

/// This program, started once more to do `what` with `fd`.
pub(crate) fn start(what: &str, fd: c_int) -> c_int {
    let arguments = ["limits", what, &fd.to_string()].map(|text| CString::new(text).expect("has no NUL"));
    let argv = [arguments[0].as_ptr(), arguments[1].as_ptr(), arguments[2].as_ptr(), std::ptr::null()];
    let mut pid = 0;
    // SAFETY: all are C strings, or arrays of such with a null pointer at their end; no actions and no attributes are given.
    let code =
        unsafe { posix_spawn(&mut pid, c"/proc/self/exe".as_ptr(), std::ptr::null(), std::ptr::null(), argv.as_ptr(), environ) };
    assert_eq!(code, 0);
    pid
}

/// Waits for the end of a child; its exit code.
pub(crate) fn reap(pid: c_int) -> u32 {
    let mut status = 0;
    // SAFETY: the pointer leads to a live number.
    assert_eq!(unsafe { waitpid(pid, &raw mut status, 0) }, pid);
    (status >> 8).cast_unsigned()
}

/// Kills a child.
pub(crate) fn end(pid: c_int) {
    // SAFETY: takes two numbers; the child is not reaped yet.
    unsafe { kill(pid, 9) };
    reap(pid);
}

/// Keeps this process on the `n`th of the CPUs that are left to it, if there are so many.
pub(crate) fn stay_on(n: usize) {
    let mut mask = [0_u64; 16];
    // SAFETY: the array has the bytes that are named; 0 means this process.
    unsafe { sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr()) };
    let Some(cpu) = (0..1024).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1).nth(n) else { return };
    mask = [0; 16];
    mask[cpu / 64] = 1 << (cpu % 64);
    // SAFETY: as before.
    unsafe { sched_setaffinity(0, size_of_val(&mask), mask.as_ptr()) };
}

/// Memory that copies of this process share with it, zeroed, for as long as the program lives.
pub(crate) fn shared(bytes: usize) -> *mut u8 {
    const READ_WRITE: c_int = 3;
    const SHARED_ANONYMOUS: c_int = 0x21;
    // SAFETY: asks for memory at an address that the kernel chooses.
    let at = unsafe { mmap(std::ptr::null_mut(), bytes, READ_WRITE, SHARED_ANONYMOUS, -1, 0) };
    assert!(at.addr() != usize::MAX, "{}", std::io::Error::last_os_error());
    at.cast()
}

#[cfg(target_arch = "x86_64")]
const FUTEX: c_long = 202;
#[cfg(target_arch = "aarch64")]
const FUTEX: c_long = 98;

/// Sleeps while the word has this value.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    // SAFETY: the word lives; FUTEX_WAIT (0) without a time takes a number (futex(2)).
    unsafe { syscall(FUTEX, word.as_ptr(), 0, value, std::ptr::null::<c_void>()) };
}

pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word lives; FUTEX_WAKE (1) takes a number (futex(2)).
    unsafe { syscall(FUTEX, word.as_ptr(), 1, 1) };
}

/// A futex word on which one process sleeps at a time, in lines of its own.
#[repr(C, align(128))]
pub(crate) struct Bed(AtomicU32);

impl Bed {
    /// Sleeps unless `ready`, until somebody rings or earlier.
    pub(crate) fn sleep_unless(&self, ready: impl Fn() -> bool) {
        // SeqCst here and in `ring`: either the sleeper sees what is ready, or the ringer sees the sleeper.
        self.0.store(1, Ordering::SeqCst);
        if !ready() {
            futex_wait(&self.0, 1);
        }
        self.0.store(0, Ordering::Relaxed);
    }

    /// Wakes who sleeps.
    pub(crate) fn ring(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) == 1 && self.0.swap(0, Ordering::SeqCst) == 1 {
            futex_wake(&self.0);
        }
    }
}
