//! Descriptors: doorbells, pipes, and reading what lies there now. Everything made here is close-on-exec.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{pipe2, read, write};

use super::private::{Listed, Private};

/// Standard error of this process, which may be closed.
// SAFETY: the number 2 is valid for the whole life of the process as a number; a closed descriptor makes the calls that
// use it fail with EBADF, which every caller here takes as "nobody listens" (std::io::stderr does the same).
pub(crate) const STDERR: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(2) };

/// What wakes a thread of this process from its sleep.
#[derive(Debug)]
pub(crate) struct Bell {
    _listed: Listed,
    fd: EventFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { _listed: Listed::new(&fd), fd })
    }

    pub(crate) fn ring(&self) {
        let _ = self.fd.write(1);
    }

    /// Forgets all rings so far.
    pub(crate) fn clear(&self) {
        let _ = self.fd.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What wakes the parent: a pipe into which workers write, and a [`Bell`] for the parent's own threads.
///
/// Workers have the pipe's write end alone. With an eventfd, which has no ends, a job that reads stray descriptors would
/// take away the ring of another worker; and flags that a job sets on its description do not reach the parent's.
#[derive(Debug)]
pub(crate) struct Doorbell {
    read: Private,
    write: Private,
    own: Bell,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        let Pipe { read, write } = Pipe::new()?;
        set_nonblocking(&read)?;
        set_nonblocking(&write)?;
        Ok(Self { read: read.into(), write: write.into(), own: Bell::new()? })
    }

    /// What the parent sleeps on.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.read.as_fd(), self.own.as_fd()]
    }

    /// What a worker gets, to make a [`Ringer`] of.
    pub(crate) fn ringer(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// Wakes the parent from a thread of its own.
    pub(crate) fn ring(&self) {
        self.own.ring();
    }

    /// Forgets all rings so far.
    pub(crate) fn clear(&self) {
        self.own.clear();
        let mut rings = [0; 4096];
        // No more than a pipe holds: what a worker writes meanwhile, without end perhaps, is found the next time.
        for _ in 0..16 {
            if read_available(&self.read, &mut rings) != Some(rings.len()) {
                break;
            }
        }
    }
}

/// A worker's end of the doorbell.
#[derive(Debug)]
pub(crate) struct Ringer(Private);

impl Ringer {
    /// Takes the descriptor that came over a socket.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd.into())
    }

    /// Makes the parent's poll return. False when this is no doorbell any more: somebody has closed the descriptor.
    pub(crate) fn ring(&self) -> bool {
        // EAGAIN means a full pipe: it is readable already (pipe(7)).
        matches!(write(self.0.as_fd(), &[1]), Ok(_) | Err(Errno::EAGAIN))
    }
}

/// Both ends of a pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) read: OwnedFd,
    pub(crate) write: OwnedFd,
}

impl Pipe {
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { read, write })
    }
}

/// Whether an error is this process's own want of descriptors or memory, or that of the system. Nobody else can cause it
/// by what he sends.
pub(crate) fn is_own_want(error: &io::Error) -> bool {
    let descriptors = [Errno::EMFILE, Errno::ENFILE].map(|errno| Some(errno as i32));
    error.kind() == io::ErrorKind::OutOfMemory || descriptors.contains(&error.raw_os_error())
}

/// Makes reads and writes on the description behind `fd` return at once.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Reads once from a non-blocking descriptor: `Some(0)` at its end, `None` when nothing lies there now.
pub(crate) fn read_available(fd: impl AsFd, into: &mut [u8]) -> Option<usize> {
    loop {
        match read(&fd, into) {
            Ok(n) => return Some(n),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return None,
            Err(_) => return Some(0),
        }
    }
}

/// Writes a line to standard error. Unlike `eprintln!` it does not panic where nobody reads any more: the pipe of a worker
/// whose parent is gone is such a place, and its end shall keep its exit code.
pub(crate) fn say(line: &str) {
    write_all(STDERR, format!("{line}\n").as_bytes());
}

/// Writes everything, blocking; an error ends the attempt, since there is nobody left to tell.
pub(crate) fn write_all(fd: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(&fd, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                // Somebody made the shared description non-blocking: wait for room instead of dropping text.
                let mut poll = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLOUT)];
                let _ = nix::poll::poll(&mut poll, nix::poll::PollTimeout::NONE);
            }
            Err(_) => return,
        }
    }
}
