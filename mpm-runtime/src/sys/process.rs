//! Child processes: learn how one ended, end one with all that it started.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use super::pidfd::Pidfd;

/// Where a worker whose standard output was set aside finds the real one.
pub(super) const STDOUT_FD: libc::c_int = 4;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// As waitpid(2) tells it; `None` where nobody knows.
    pub(crate) status: Option<i32>,
    /// The most memory that it held at once, in bytes; 0 where unknown.
    pub(crate) max_rss: u64,
}

impl Exit {
    /// The exit code, if it ended by its own will.
    pub(crate) fn code(self) -> Option<i32> {
        self.status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status))
    }

    /// The signal that ended it, if one did.
    pub(crate) fn signal(self) -> Option<i32> {
        self.status.filter(|status| libc::WIFSIGNALED(*status)).map(|status| libc::WTERMSIG(status))
    }

    pub(crate) fn core_dumped(self) -> bool {
        self.signal().is_some() && self.status.is_some_and(|status| libc::WCOREDUMP(status))
    }
}

/// A child of this process that has not been reaped yet.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    pidfd: Pidfd,
    reaped: Option<Exit>,
    /// Whose child it is.
    parent: u32,
}

impl Child {
    /// Takes charge of the child with this number.
    pub(crate) fn adopt(pid: libc::pid_t) -> io::Result<Self> {
        match Pidfd::open(pid) {
            Ok(pidfd) => Ok(Self { pid, pidfd, reaped: None, parent: std::process::id() }),
            Err(error) => {
                // Without a pidfd nobody would notice its end: give it up, and leave no zombie.
                reap(pid);
                Err(error)
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(0)
    }

    pub(crate) fn pidfd(&self) -> &Pidfd {
        &self.pidfd
    }

    /// Kills the child and everything in its process group. A child that is reaped is left alone: its number may belong
    /// to somebody else.
    pub(crate) fn kill_group(&self) {
        if self.reaped.is_none() && !self.pidfd.kill_group() && self.is_ours() {
            // SAFETY: the call takes two numbers. The group's number is bound to our child, which is not reaped: nobody
            // else in this program reaps it between the two calls, unless it waits for all children on another thread.
            unsafe { libc::killpg(self.pid, libc::SIGKILL) };
        }
    }

    /// Whether it has not been reaped.
    pub(crate) fn runs(&self) -> bool {
        self.reaped.is_none()
    }

    /// Whether the child, running or ended, is still there to be reaped: with SIGCHLD ignored, or a `waitpid(-1)`
    /// elsewhere in the program, it may be gone.
    fn is_ours(&self) -> bool {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` is a live object of the type that waitid(2) writes; WNOWAIT leaves the child as it is.
        unsafe { libc::waitid(libc::P_PID, self.pid.unsigned_abs(), info.as_mut_ptr(), flags) == 0 }
    }

    /// How the child ended, if it has. What it left running in its group is killed first, while the group's number is
    /// still bound to it.
    pub(crate) fn try_reap(&mut self) -> Option<Exit> {
        if self.reaped.is_none() && self.pidfd.has_ended() {
            self.kill_group();
            self.reaped = Some(wait(self.pid));
        }
        self.reaped
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    /// Leaves neither a running process nor a zombie. In a copy of the process it is not ours to end.
    fn drop(&mut self) {
        if self.reaped.is_none() && self.parent == std::process::id() {
            self.kill_group();
            self.reaped = Some(wait(self.pid));
        }
    }
}

/// Has `hook` run when this process exits by the return of `main` or by `exit`.
pub(crate) fn at_exit(hook: extern "C" fn()) {
    // SAFETY: the function lives as long as the program, and is called by `exit` on one thread (atexit(3)).
    let _ = unsafe { libc::atexit(hook) };
}

/// Kills the child with this number and all of its group, and reaps it.
pub(crate) fn reap(pid: libc::pid_t) -> Exit {
    kill_own_group_of(pid);
    wait(pid)
}

/// Kills the child with this number, which is not reaped yet, and all of the group that it leads.
pub(crate) fn kill_own_group_of(pid: libc::pid_t) {
    // SAFETY: both calls take two numbers; the number is bound to our child as long as we do not reap it (kill(2)).
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // SAFETY: as above. A child that has not come to lead its group yet has none of that number: the call fails.
    unsafe { libc::killpg(pid, libc::SIGKILL) };
}

fn wait(pid: libc::pid_t) -> Exit {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let waited = loop {
        // SAFETY: both pointers lead to live objects of the types that wait4(2) writes; `pid` is our child.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if waited != -1 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break waited;
        }
    };
    // SAFETY: all-zero is a valid rusage, so it is initialised whether the call wrote it or not.
    let usage = unsafe { usage.assume_init() };
    // ECHILD: the program ignores SIGCHLD, so the kernel has thrown the status away.
    let status = (waited == pid).then_some(status);
    Exit { status, max_rss: if status.is_some() { u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024 } else { 0 } }
}

/// Ends this process the ordinary way: exit hooks run, buffered output is written.
pub(crate) fn finish(code: i32) -> ! {
    std::process::exit(code)
}

/// Ends this process here and now, and with it all of its group, if it leads one.
pub(crate) fn end_own_group() -> ! {
    if nix::unistd::getpgrp() == nix::unistd::getpid() {
        // SAFETY: kill(2) takes two numbers; 0 means the caller's group, which holds nobody but this process and what it started.
        unsafe { libc::kill(0, libc::SIGKILL) };
    }
    exit_now(0)
}

/// Ends this process here and now, without exit hooks.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Puts the standard output that the parent set aside back in its place.
pub(crate) fn adopt_stdout() {
    // SAFETY: both calls take numbers; descriptor 4 is ours by the agreement with `spawn`, or closed.
    if unsafe { libc::dup2(STDOUT_FD, 1) } == 1 {
        // SAFETY: as above.
        unsafe { libc::close(STDOUT_FD) };
    }
}
