//! What a hostile job or a strange caller does to its own process: signals, wild writes, closed descriptors, limits,
//! timers. Each call is safe for the caller's memory, or ends the process.

#![expect(unsafe_code, reason = "these calls have no safe form in std")]

use std::hint::black_box;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

#[track_caller]
fn check(what: &str, result: libc::c_int) {
    assert_eq!(result, 0, "{what}: {}", io::Error::last_os_error());
}

/// Sends a signal to the calling thread.
///
/// # Panics
/// If there is no such signal.
pub fn raise(signal: i32) {
    // SAFETY: raise(3) takes a number by value and touches no memory of ours.
    check("raise", unsafe { libc::raise(signal) });
}

/// Lets the C library write through a null pointer, as a broken library would: the process ends by SIGSEGV.
pub fn write_to_null() {
    let nowhere: *mut libc::c_void = black_box(ptr::null_mut());
    // SAFETY: none; the page at null is never mapped for a user's process (mmap_min_addr), so the store inside the C library
    // faults and the process ends there. The pointer is opaque to the compiler.
    unsafe { libc::memset(nowhere, 1, black_box(64)) };
}

/// Closes every descriptor from `first` on, whoever owns it.
///
/// # Panics
/// If the system refuses.
pub fn close_descriptors_from(first: u32) {
    // SAFETY: close_range(2) takes numbers. Owners of these descriptors get EBADF from then on, which a job that does this asks for.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    assert_eq!(result, 0, "close_range: {}", io::Error::last_os_error());
}

/// Closes one descriptor, whoever owns it.
///
/// # Panics
/// If it is not open.
pub fn close_descriptor(number: i32) {
    // SAFETY: as in `close_descriptors_from`.
    check("close", unsafe { libc::close(number) });
}

/// Lets this process have at most `number` descriptors, and its children too.
///
/// # Panics
/// If the system refuses.
pub fn limit_descriptors(number: u64) {
    let limit = libc::rlimit { rlim_cur: number, rlim_max: number };
    // SAFETY: setrlimit(2) reads the live structure that it is given.
    check("setrlimit", unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) });
}

/// Lets process `pid`, which may be this one, have at most `number` descriptors until it is given more; returns how many it could
/// have before. Those that it has stay open.
///
/// # Panics
/// If the system refuses.
pub fn limit_descriptors_of(pid: u32, number: u64) -> u64 {
    let pid = libc::pid_t::try_from(pid).expect("a pid fits into a pid_t");
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: with a null pointer in its place nothing is set; the other structure is live and written (prlimit(2)).
    check("prlimit", unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) });
    let before = limit.rlim_cur;
    limit.rlim_cur = number;
    // SAFETY: prlimit(2) reads the live structure, and writes none to a null pointer.
    check("prlimit", unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) });
    before
}

/// Blocks a signal in the calling thread.
///
/// # Panics
/// If the system refuses.
pub fn block_signal(signal: i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) writes the whole set that it is given.
    check("sigemptyset", unsafe { libc::sigemptyset(set.as_mut_ptr()) });
    // SAFETY: the set is initialised.
    check("sigaddset", unsafe { libc::sigaddset(set.as_mut_ptr(), signal) });
    // SAFETY: the set is initialised; a null old set is allowed (pthread_sigmask(3)).
    check("pthread_sigmask", unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) });
}

/// Lets this process ignore a signal, in whichever thread.
///
/// # Panics
/// If the system refuses.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN installs no code; signal(2) takes two values and touches no memory of ours.
    assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR, "signal {signal}");
}

static ALARMS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_alarm(_: libc::c_int) {
    ALARMS.fetch_add(1, Ordering::Relaxed);
}

/// Interrupts the system calls of this process all the time, until it is dropped.
#[derive(Debug)]
#[must_use = "the storm ends when this is dropped"]
pub struct AlarmStorm(());

impl AlarmStorm {
    /// Begins to send SIGALRM to this process every so many microseconds, with a handler that restarts no system call.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn every_micros(period: u32) -> AlarmStorm {
        // SAFETY: all-zero is a valid sigaction: no flags, so no SA_RESTART, and an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = count_alarm;
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: the structure is initialised; the handler only adds to an atomic, which is safe in a signal context
        // (signal-safety(7)).
        check("sigaction", unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) });
        set_timer(period);
        AlarmStorm(())
    }

    /// How many alarms have been handled so far.
    pub fn count(&self) -> u64 {
        ALARMS.load(Ordering::Relaxed)
    }
}

impl Drop for AlarmStorm {
    fn drop(&mut self) {
        set_timer(0);
    }
}

fn set_timer(micros: u32) {
    let period = libc::timeval { tv_sec: 0, tv_usec: micros.into() };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: setitimer(2) reads the live structure; a null old value is allowed.
    check("setitimer", unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) });
}

/// Runs `body` in a copy of this process made by fork(2), which then ends; what it returned. The copy has this thread
/// alone.
///
/// # Panics
/// If there can be no copy, or it ends in another way than by returning.
pub fn in_forked_copy(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the copy runs `body` and leaves by _exit(2). What `body` may touch in a copy whose other threads are gone is
    // for the test to know; the allocator is usable after fork(2) with glibc.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).map_or(101, |ok| i32::from(!ok));
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live int; `pid` is our child.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(waited == pid && libc::WIFEXITED(status), "the copy ended with status {status}");
    libc::WEXITSTATUS(status) == 0
}

/// Tries to leave this process's group for that of its parent. The error number, if the system refuses.
pub fn join_the_parents_group() -> Option<i32> {
    let parent = libc::pid_t::try_from(std::os::unix::process::parent_id()).expect("a pid fits into a pid_t");
    // SAFETY: getpgid(2) takes a number.
    let group = unsafe { libc::getpgid(parent) };
    // SAFETY: setpgid(2) takes numbers.
    let result = unsafe { libc::setpgid(0, group) };
    (result != 0).then(|| io::Error::last_os_error().raw_os_error()).flatten()
}

/// Makes a copy of this process by fork(2), and returns in both; true in the copy.
///
/// # Panics
/// If there can be no copy.
pub fn fork_and_return() -> bool {
    // SAFETY: what the copy does from here on is what the test is about; it shares no memory that it could damage but that
    // of the worker's link.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    pid == 0
}

/// Lets files of this process, memory files included, have at most `bytes`.
///
/// # Panics
/// If the system refuses.
pub fn limit_file_size(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: setrlimit(2) reads the live structure that it is given.
    check("setrlimit", unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) });
}

/// Makes this process one of a user who has no other, if it may: whether it did. It stays readable for itself.
///
/// # Panics
/// If the system refuses half of it.
pub fn become_nobody() -> bool {
    const NOBODY_ELSE: libc::uid_t = 64_123;
    // SAFETY: setresuid(2) takes numbers. glibc gives all threads the new user.
    if unsafe { libc::setresuid(NOBODY_ELSE, NOBODY_ELSE, NOBODY_ELSE) } != 0 {
        return false;
    }
    // SAFETY: prctl(2) with PR_SET_DUMPABLE takes numbers: a change of user made this process unreadable for itself.
    check("prctl", unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) });
    true
}

/// A limit of processes; see [`limit_processes`].
#[derive(Debug)]
#[must_use = "the limit ends when this is dropped"]
pub struct ProcessLimit(libc::rlimit);

/// Lets this process's user have at most `number` processes and threads, as far as this process and those that it starts from now on are
/// concerned, until the guard is dropped. Processes that run already get the limit too, if they are children.
///
/// # Panics
/// If the system refuses.
pub fn limit_processes(number: u64) -> ProcessLimit {
    let mut before = MaybeUninit::uninit();
    // SAFETY: getrlimit(2) writes the structure that it is given.
    check("getrlimit", unsafe { libc::getrlimit(libc::RLIMIT_NPROC, before.as_mut_ptr()) });
    // SAFETY: written by the call, which has succeeded.
    let before = unsafe { before.assume_init() };
    set_process_limit(libc::rlimit { rlim_cur: number, ..before });
    ProcessLimit(before)
}

fn set_process_limit(limit: libc::rlimit) {
    let children = crate::process::templates_of(std::process::id());
    for pid in std::iter::once(0).chain(children.into_iter().filter_map(|pid| libc::pid_t::try_from(pid).ok())) {
        // SAFETY: prlimit(2) reads the live structure that it is given; a null old limit is allowed.
        check("prlimit", unsafe { libc::prlimit(pid, libc::RLIMIT_NPROC, &raw const limit, ptr::null_mut()) });
    }
}

impl Drop for ProcessLimit {
    fn drop(&mut self) {
        set_process_limit(self.0);
    }
}
