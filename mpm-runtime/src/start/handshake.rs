//! What parent, template and worker say to each other before there are jobs, each a message on a control socket.
//!
//! | message | from | to | descriptors |
//! |---|---|---|---|
//! | [`Hello`] | parent | the new process, as soon as it runs | lifeline, parent's pidfd, unless its template has them; a worker's three of the link, or the standard streams of a single process; what is too large for the message |
//! | [`Reply`] | the new process; a worker at its end once more | parent | a result that is too large for the message |
//! | [`Go`] | parent | a process for one job, which is ready | |
//! | [`Order`] | parent | template | for a fork: the worker's control socket, its standard error |
//! | [`Answer`] | template | parent, one for each order, in their order | |

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::level::Level;
use super::method::StartMethod;
use super::parcel::Parcel;
use super::plan::Directory;
use crate::sys::{Socket, wait_writable};

/// Changes whenever the link or these messages change; both sides are the same file, so a difference means a mix-up.
pub(crate) const PROTOCOL: u32 = 4;
/// The longest message: a path, some names, a parcel.
const LONGEST: usize = 64 * 1024;
/// The longest order and answer: some numbers.
const SHORT: usize = 64;

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) nonce: u64,
    /// Identifies the executable file, for a process that has been started from it.
    pub(crate) build: u64,
    /// Identifies the set of registered targets.
    pub(crate) fingerprint: u64,
    pub(crate) name: String,
    pub(crate) directory: Option<Directory>,
    pub(crate) parent: u32,
    pub(crate) parent_name: String,
    pub(crate) method: StartMethod,
    pub(crate) default_method: Option<StartMethod>,
    /// The encoded jobs to be run first, if there are any.
    pub(crate) preload: Option<Parcel>,
    /// Whether it ends with its parent rather than have its parent wait for it.
    pub(crate) daemon: bool,
    pub(crate) level: Level,
    /// What it is for, if it is not a template.
    pub(crate) duty: Duty,
}

/// What a process is for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Duty {
    /// It forks others.
    Template,
    /// It takes jobs from a link, so many before it ends by itself, 0 for no end; and keeps so many objects. And what it runs before and
    /// after those jobs, if there is any: encoded [`Hooks`](super::hooks::Hooks).
    Serve { max_jobs: u64, index: u32, objects: usize, hooks: Option<Parcel> },
    /// It runs this one job, with these of its three standard streams replaced.
    Single { target: u32, arguments: Parcel, streams: [bool; 3] },
}

/// What came with a hello.
#[derive(Debug)]
pub(super) struct HelloFds {
    /// Lifeline and the parent's pidfd, for a process that is not born with them.
    pub(super) ties: Option<[OwnedFd; 2]>,
    /// Requests, responses, doorbell.
    pub(super) link: Option<[OwnedFd; 3]>,
    pub(super) streams: [Option<OwnedFd>; 3],
    /// The memory of parcels, in the order of the parcels.
    pub(super) beside: VecDeque<OwnedFd>,
}

/// From the new process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// This preload job begins.
    Preloading(u32),
    /// It has returned this.
    Preloaded(u32, Vec<u8>),
    /// This job before a worker's first begins.
    Starting(u32),
    /// It has returned this.
    Started(u32, Vec<u8>),
    /// The worker has ended its work, and this job after its last begins.
    Stopping(u32),
    /// It has ended: its result, or else an encoded [`NoValue`](crate::codec::NoValue).
    Stopped {
        index: u32,
        has_value: bool,
        parcel: Parcel,
    },
    Ready,
    Refused(String),
    /// The one job has come so far: the number of a [`Phase`](crate::error::Phase).
    Reached(u32),
    /// It returned this.
    Returned(Parcel),
    /// It returned nothing: an encoded [`NoValue`](crate::codec::NoValue).
    Ended(Parcel),
    /// A template that has other threads, and so cannot fork.
    HasThreads(String),
}

/// The one job may begin: its parent has this process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Go {
    Run,
}

/// What a template is told to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Fork a worker, which will find this nonce in its hello.
    Fork { nonce: u64 },
    /// Say how this worker ended, which has.
    Reap { pid: i32 },
}

/// What it says to that.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Forked {
        pid: i32,
    },
    /// The number of the system's error.
    NotForked(i32),
    /// As waitpid(2) tells it, and the most memory that it held at once.
    Reaped {
        status: Option<i32>,
        max_rss: u64,
    },
}

impl Hello {
    /// With `ties`, those come with it.
    pub(super) fn receive(socket: &Socket, ties: bool) -> io::Result<(Self, HelloFds)> {
        let (hello, fds): (Self, _) = receive(socket, false)?;
        let mut fds = VecDeque::from(fds);
        let mut next = || fds.pop_front().ok_or_else(|| io::Error::other("the hello came without its descriptors"));
        let ties = if ties { Some([next()?, next()?]) } else { None };
        let (mut link, mut streams) = (None, [const { None }; 3]);
        match &hello.duty {
            Duty::Template => {}
            Duty::Serve { .. } => link = Some([next()?, next()?, next()?]),
            Duty::Single { streams: replaced, .. } => {
                for (stream, _) in streams.iter_mut().zip(replaced).filter(|(_, replaced)| **replaced) {
                    *stream = Some(next()?);
                }
            }
        }
        Ok((hello, HelloFds { ties, link, streams, beside: fds }))
    }
}

/// Lets a process that is ready begin with its one job.
pub(crate) fn let_go(socket: &Socket) -> io::Result<()> {
    send(socket, &Go::Run, &[])
}

/// Sends one message at once.
pub(super) fn send(socket: &Socket, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    // Most are short, and the copies of a template that allocate nothing touch no page for it.
    let mut short = [0; SHORT];
    match postcard::to_slice(message, &mut short) {
        Ok(bytes) => socket.send(bytes, fds),
        Err(postcard::Error::SerializeBufferFull) => socket.send(&postcard::to_stdvec(message).map_err(io::Error::other)?, fds),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Sends one message; waits for room while the parent has not taken earlier ones.
pub(super) fn send_patiently(socket: &Socket, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    loop {
        match socket.send(&bytes, fds) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_writable(socket)?,
            sent => return sent,
        }
    }
}

/// Receives one message; with `now`, one that is not there yet is an error.
pub(super) fn receive<M: DeserializeOwned>(socket: &Socket, now: bool) -> io::Result<(M, Vec<OwnedFd>)> {
    // A buffer of the right length: what a template and its copies touch, each of them has to copy after the next fork.
    let len = socket.next_len(now)?;
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a control message is longer than any of ours"));
    }
    let (message, fds) = receive_into(&mut vec![0; len], socket, now)?;
    Ok((message, fds.ok_or(Errno::EMFILE)?))
}

/// As [`receive`], for an order or an answer, whose length need not be asked for. One whose descriptors this process has no room for
/// comes with `None`.
pub(super) fn receive_short<M: DeserializeOwned>(socket: &Socket, now: bool) -> io::Result<(M, Option<Vec<OwnedFd>>)> {
    receive_into(&mut [0; SHORT], socket, now)
}

fn receive_into<M: DeserializeOwned>(buffer: &mut [u8], socket: &Socket, now: bool) -> io::Result<(M, Option<Vec<OwnedFd>>)> {
    let (n, fds) = socket.receive_even_cut(buffer, now)?;
    let unreadable = |e| io::Error::new(io::ErrorKind::InvalidData, e);
    let message = postcard::from_bytes(buffer.get(..n).unwrap_or_default()).map_err(unreadable)?;
    Ok((message, fds))
}

/// The next reply, if one lies there, with the memory that came along: `None` when there is none yet, an error when it is none
/// of ours.
pub(crate) fn read_reply(socket: &Socket) -> io::Result<Option<(Reply, VecDeque<OwnedFd>)>> {
    match receive(socket, true) {
        Ok((reply, fds)) => Ok(Some((reply, fds.into()))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
