//! The lifeline: a pipe whose write end only the parent has, by which the kernel ends a worker and all that it started.
//!
//! When the last write end of a pipe closes, the kernel sends the signal chosen by `F_SETSIG` to the owner chosen by
//! `F_SETOWN` of every read description that asked with `O_ASYNC` (fcntl(2), "Managing signals"). With SIGKILL and the
//! worker's process group that needs no thread in the worker, reaches a busy or stopped process too, and works however
//! the parent ends. Owner and flag belong to the open file description, so each worker opens its own one of the same
//! pipe by way of `/proc/self/fd`, or is born with one that its template has opened for it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{getpgrp, getpid};

use super::fd::Pipe;
use super::private::Private;

/// `F_SETSIG` of fcntl(2) on x86-64 and aarch64, which the `libc` crate does not name.
const F_SETSIG: libc::c_int = 10;

/// The parent's end. It must stay open as long as the workers shall live.
#[derive(Debug)]
pub(crate) struct Lifeline {
    read: Private,
    _write: Private,
}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Self> {
        let Pipe { read, write } = Pipe::new()?;
        Ok(Self { read: read.into(), _write: write.into() })
    }

    /// The end that workers are given.
    pub(crate) fn read_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// A read end that was given to this process, of which it makes descriptions for itself or for its copies.
#[derive(Debug)]
pub(crate) struct LifelineEnd {
    end: OwnedFd,
    path: CString,
}

impl From<OwnedFd> for LifelineEnd {
    fn from(end: OwnedFd) -> Self {
        let path = CString::new(format!("/proc/self/fd/{}", end.as_raw_fd())).unwrap_or_default();
        Self { end, path }
    }
}

impl LifelineEnd {
    /// A description of its own, to be armed by one process.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        // O_NONBLOCK: opening a pipe without a writer would otherwise wait for one (fifo(7)).
        Ok(open(&*self.path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())?)
    }
}

impl AsFd for LifelineEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// An armed lifeline. Dropping it cuts it.
#[derive(Debug)]
pub(crate) struct Armed(OwnedFd);

impl Armed {
    /// Lets it live as long as this process.
    pub(crate) fn for_good(self) {
        let _ = self.0.into_raw_fd();
    }
}

/// Ties the calling process's group to the life of the process that holds the write end of `own`, a description that nobody else has
/// armed.
///
/// # Errors
/// `BrokenPipe` when that process is gone already; otherwise what the system said.
pub(crate) fn arm_lifeline(own: OwnedFd) -> io::Result<Armed> {
    let set = |command: libc::c_int, value: libc::c_int| {
        // SAFETY: the three commands used here take an int and touch no memory of ours (fcntl(2)).
        match unsafe { libc::fcntl(own.as_raw_fd(), command, value) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // Where a sandbox has kept it in the group of its parent, whoever else is there is spared.
    let (me, group) = (getpid().as_raw(), getpgrp().as_raw());
    set(libc::F_SETOWN, if group == me { -group } else { me })?;
    set(F_SETSIG, libc::SIGKILL)?;
    set(libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK)?;
    // From here on the kernel acts. A parent that died before is seen as a hang-up now.
    let mut fds = [PollFd::new(own.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO)?;
    if fds[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP)) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(Armed(own))
}

/// The second tie, for a process whose job closes the lifeline, or where it cannot be armed: when `parent`, which has started
/// this process, ends, this process kills its group, itself included; only itself where it does not lead that group. False when that
/// is not possible or the parent is gone already.
///
/// The kernel tells of the end of the parent's thread that started this process, and then of each further thread that took
/// its place: only after the last one this process has another parent.
///
/// The signal is a caught one. An uncaught SIGKILL would come before the last of the parent's threads closes the lifeline,
/// end this process alone, and take its end of the lifeline along: what it had started would stay.
pub(crate) fn arm_parent_death_signal(parent: u32) -> bool {
    extern "C" fn kill_own_group(_signal: libc::c_int, info: *const libc::siginfo_t, _context: *const libc::c_void) {
        // SAFETY: the kernel hands a live siginfo_t to a handler with SA_SIGINFO (sigaction(2)).
        let info = unsafe { &*info };
        // SAFETY: it has the sender's number for a signal that a process has sent (sigaction(2)): here the process whose thread ends.
        let sender = unsafe { info.si_pid() };
        // SAFETY: getppid(2) takes nothing, cannot fail and is async-signal-safe (signal-safety(7)).
        if unsafe { libc::getppid() } != sender {
            // SAFETY: getpid(2) takes nothing, cannot fail and is async-signal-safe (signal-safety(7)).
            let me = unsafe { libc::getpid() };
            // SAFETY: as above, getpgrp(2).
            let leads = unsafe { libc::getpgrp() } == me;
            // SAFETY: kill(2) takes two numbers and is async-signal-safe (signal-safety(7)); 0 means the caller's group.
            unsafe { libc::kill(if leads { 0 } else { me }, libc::SIGKILL) };
        }
    }
    let signal = libc::SIGRTMAX();
    // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = kill_own_group as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: `action` is live and initialised; the handler calls nothing but async-signal-safe functions, and lives as long as
    // the program. A null old action is allowed (sigaction(2)).
    let caught = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == 0;
    // SAFETY: the call takes numbers (PR_SET_PDEATHSIG(2const)).
    let armed = caught && unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } == 0;
    armed && u32::try_from(nix::unistd::getppid().as_raw()).is_ok_and(|now| now == parent)
}

/// Has the kernel wake this process when its parent ends, should it be stopped then: it sees to its own end.
pub(crate) fn wake_at_parent_death() {
    // SAFETY: the call takes numbers (PR_SET_PDEATHSIG(2const)). SIGCONT does nothing to a process that is not stopped.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT) };
}
