//! Descriptors that are nobody's business in a copy of this process: the parent's ends of links, pipes and pidfds.
//!
//! A copy made by fork(2) gets all descriptors of its parent. The user's are meant to be there. Those of mpm would keep
//! a pipe open whose end somebody waits for, or let the copy speak in its parent's name. So they are listed here, and a
//! copy gives them up.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

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
    let dead = match Pipe::new() {
        Ok(Pipe { read, write }) => {
            drop(write);
            read
        }
        Err(_) => one_made_room_for(&private),
    };
    for number in private.iter().filter(|number| **number != dead.as_raw_fd()) {
        // SAFETY: both numbers are open descriptors of this process; the one that is replaced belongs to a `Private`, which
        // does not look at what it owns but only passes it on to calls that may fail (dup2(2)).
        unsafe { libc::dup3(dead.as_raw_fd(), *number, libc::O_CLOEXEC) };
    }
    if private.contains(&dead.as_raw_fd()) {
        // It stands for the one whose number it has, and stays as long as that.
        let _ = dead.into_raw_fd();
    }
}

/// Where this process has no descriptor left: `/dev/null` in the place of the first of them.
fn one_made_room_for(private: &BTreeSet<RawFd>) -> OwnedFd {
    if let Some(first) = private.first() {
        // SAFETY: the number belongs to a `Private` of the process of which this is a copy. The next line takes it again, or this
        // process ends.
        unsafe { libc::close(*first) };
        let null = open(c"/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        if let Some(null) = null.ok().filter(|null| null.as_raw_fd() == *first) {
            return null;
        }
    }
    say("mpm: a copy of this process has no descriptor left, and ends");
    exit_now(1)
}
