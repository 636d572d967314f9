//! Descriptors that are nobody's business in a copy of this process: the parent's ends of links, pipes and pidfds.
//!
//! A copy made by fork(2) gets all descriptors of its parent. The user's are meant to be there. Those of mpm would keep
//! a pipe open whose end somebody waits for, or let the copy speak in its parent's name. So they are listed here, and a
//! copy gives them up.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use super::fd::{Pipe, say};
use super::process::exit_now;

static PRIVATE: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// A descriptor that copies of this process give up.
#[derive(Debug)]
pub(crate) struct Private {
    // Dropped first: the number must be off the list before it can belong to another descriptor.
    _listed: Listed,
    fd: OwnedFd,
}

/// The number of such a descriptor stands on the list as long as this lives, which has to be less long than that is open.
#[derive(Debug)]
pub(super) struct Listed(RawFd);

impl Listed {
    pub(super) fn new(fd: impl AsFd) -> Self {
        let number = fd.as_fd().as_raw_fd();
        PRIVATE.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        Self(number)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        PRIVATE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl From<OwnedFd> for Private {
    fn from(fd: OwnedFd) -> Self {
        Self { _listed: Listed::new(&fd), fd }
    }
}

impl From<Private> for OwnedFd {
    /// From here on copies of this process have it too.
    fn from(Private { _listed: listed, fd }: Private) -> Self {
        drop(listed);
        fd
    }
}

impl AsFd for Private {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// In a copy of the process: puts the end of a dead pipe in the place of each of them. Their numbers stay taken, since
/// values that own them are still there and may be dropped.
pub(super) fn give_up_private() {
    let private = PRIVATE.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(Pipe { read, write }) = Pipe::new() else {
        say("mpm: a copy of this process has no descriptor left, and ends");
        exit_now(1);
    };
    drop(write);
    for number in &*private {
        // SAFETY: both numbers are open descriptors of this process; the one that is replaced belongs to a `Private`, which
        // does not look at what it owns but only passes it on to calls that may fail (dup2(2)).
        unsafe { libc::dup3(read.as_raw_fd(), *number, libc::O_CLOEXEC) };
    }
}
