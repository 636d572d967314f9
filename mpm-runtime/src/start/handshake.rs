//! The handshake: the parent says who it is and what it gives, the worker says that it is ready or why it is not.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::sys::Socket;

/// Changes whenever the link or these messages change; both sides are the same file, so a difference means a mix-up.
pub(crate) const PROTOCOL: u32 = 1;
/// The longest handshake message: a path, some names, a list of targets.
const LONGEST: usize = 64 * 1024;

/// From the parent, with four descriptors: requests, responses, doorbell, lifeline.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) nonce: u64,
    /// Identifies the executable file.
    pub(crate) build: u64,
    /// Identifies the set of registered targets.
    pub(crate) fingerprint: u64,
    pub(crate) worker: String,
    pub(crate) cwd: Option<Vec<u8>>,
    pub(crate) parent: u32,
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Ready,
    Refused(String),
}

impl Hello {
    pub(crate) fn send(&self, socket: &Socket, fds: &[BorrowedFd<'_>; 4]) -> Result<()> {
        let bytes = postcard::to_stdvec(self).map_err(|e| Error::new(Kind::System, "encode the handshake").because(e))?;
        socket.send(&bytes, fds).map_err(|e| Error::new(Kind::System, "send the handshake to a new worker").because(e))
    }

    pub(crate) fn receive(socket: &Socket) -> io::Result<(Self, [OwnedFd; 4])> {
        let mut buffer = vec![0; LONGEST];
        let (n, fds) = socket.receive(&mut buffer, false)?;
        let hello = postcard::from_bytes(buffer.get(..n).unwrap_or_default()).map_err(io::Error::other)?;
        let fds = fds.try_into().map_err(|_| io::Error::other("the handshake came without its descriptors"))?;
        Ok((hello, fds))
    }
}

impl Reply {
    pub(crate) fn send(&self, socket: &Socket) -> io::Result<()> {
        socket.send(&postcard::to_stdvec(self).map_err(io::Error::other)?, &[])
    }
}

/// The worker's reply, if it lies there: `None` when there is none yet, an error when it is none of ours.
pub(crate) fn read_reply(socket: &Socket) -> io::Result<Option<Reply>> {
    let mut buffer = vec![0; LONGEST];
    match socket.receive(&mut buffer, true) {
        Ok((n, _)) => postcard::from_bytes(buffer.get(..n).unwrap_or_default()).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
