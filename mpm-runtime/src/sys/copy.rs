//! Copies of this process: fork(2), and what a copy does first, so that it begins as clean as a started program.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stdin, setsid};

use super::private::give_up_private;
use super::threads::Alone;

/// Makes a copy of this process, with the calling thread alone: its number, or `None` in the copy. The caller must reap it.
///
/// # Errors
/// When the system has no process or memory left.
pub(crate) fn fork(alone: Alone) -> io::Result<Option<i32>> {
    let held = alone.hold();
    // SAFETY: fork(2) leaves the copy with this thread alone. `alone` proves that no other thread holds a lock, or the caller of
    // an unsafe function has promised that what they hold does not matter. So the copy is in the state of a program that never had
    // another thread, and may do whatever that may. The C library's own handlers (pthread_atfork(3)) run in this call.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            held.in_copy();
            Ok(None)
        }
        pid => Ok(Some(pid)),
    }
}

/// Writes out what lies in buffers, which every copy would otherwise write out once more.
pub(crate) fn flush_output() {
    let _ = io::stdout().flush();
    // SAFETY: a null pointer means all of the C library's open streams (fflush(3)).
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// What a copy of the user's process has to do before anything else: leaves its parent's session, terminal, descriptors,
/// exit hooks and signal handlers.
pub(crate) fn leave_the_original() {
    lead_session();
    leave_exit_hooks();
    give_up_private();
    stdin_from_null();
    reset_signals();
}

/// Makes this process lead a session and so a process group of its own.
pub(crate) fn lead_session() {
    // Fails only where it does already.
    let _ = setsid();
}

/// Signals become as after an `exec`: none is blocked, handlers are gone, what was ignored is ignored still. Handlers of
/// faults stay: they report, and nobody sends those signals.
pub(crate) fn reset_signals() {
    forget_handlers();
    unblock_signals();
}

/// The calling thread blocks no signal from now on.
pub(crate) fn unblock_signals() {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// The exit hooks that the original has registered run there. Hooks run in the reverse order of their registration
/// (atexit(3)), so one that ends the process lets those run that the copy registers from now on, and no older one.
#[cfg(target_env = "gnu")]
fn leave_exit_hooks() {
    unsafe extern "C" {
        fn on_exit(hook: extern "C" fn(libc::c_int, *mut libc::c_void), argument: *mut libc::c_void) -> libc::c_int;
    }
    extern "C" fn end(code: libc::c_int, _: *mut libc::c_void) {
        // SAFETY: a null pointer means all of the C library's open streams, which `exit` would write out next (fflush(3)).
        unsafe { libc::fflush(std::ptr::null_mut()) };
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(code) };
    }
    // SAFETY: the declaration is that of on_exit(3) in glibc; the function lives as long as the program and ignores its argument.
    let _ = unsafe { on_exit(end, std::ptr::null_mut()) };
}

/// Other C libraries have no hook that learns the exit code.
#[cfg(not(target_env = "gnu"))]
fn leave_exit_hooks() {}

fn stdin_from_null() {
    let null: &CStr = c"/dev/null";
    if let Ok(null) = open(null, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        && null.as_raw_fd() != 0
    {
        let _ = dup2_stdin(null);
    }
}

fn forget_handlers() {
    const FAULTS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| !FAULTS.contains(signal)) {
        // SAFETY: all-zero is a valid sigaction: the default action, no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a null new action only reads the old one into a live object (sigaction(2)).
        let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0;
        if known && action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN {
            // SAFETY: SIG_DFL installs no code.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Makes `fd` this process's standard error.
pub(crate) fn adopt_stderr(fd: impl AsFd) -> io::Result<()> {
    adopt_stream(fd, 2)
}

/// Puts each descriptor that is given in the place of standard input, output or error.
pub(crate) fn adopt_streams(streams: [Option<OwnedFd>; 3]) -> io::Result<()> {
    streams.into_iter().zip(0..).try_for_each(|(fd, number)| fd.map_or(Ok(()), |fd| adopt_stream(fd, number)))
}

/// Opens `/dev/null` in the place of each standard stream that is closed, as every Rust program does when it starts: else the
/// next descriptor that is made would be taken for that stream.
pub(crate) fn fill_standard_streams() {
    while let Ok(null) = open(c"/dev/null", OFlag::O_RDWR, Mode::empty())
        && null.as_raw_fd() <= 2
    {
        let _ = null.into_raw_fd();
    }
}

fn adopt_stream(fd: impl AsFd, number: libc::c_int) -> io::Result<()> {
    // SAFETY: dup2(2) takes two numbers; descriptors 0 to 2 are the standard streams by convention, and nobody owns them as
    // values.
    match unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
