//! Bytes that travel beside a handshake: small ones in the message, large ones in memory of their own.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::sys::{Access, Mapping, Memfd};

/// Up to this many bytes travel in the message.
const LARGEST_HERE: usize = 16 * 1024;

/// Some bytes, or where they are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Parcel {
    Here(Vec<u8>),
    /// In memory whose descriptor comes with the message: so many bytes.
    Beside(u64),
}

impl Parcel {
    /// Packs `bytes`, into memory of their own where they are many.
    pub(super) fn pack(bytes: &[u8]) -> io::Result<(Self, Option<Memfd>)> {
        if bytes.len() <= LARGEST_HERE {
            return Ok((Self::Here(bytes.to_vec()), None));
        }
        let memfd = Memfd::reserved(c"mpm-parcel", bytes.len())?;
        Mapping::new(&memfd, bytes.len(), Access::ReadWrite)?.write(0, bytes);
        memfd.seal(true)?;
        Ok((Self::Beside(bytes.len() as u64), Some(memfd)))
    }

    /// Unpacks what was packed on the other side; the memory of parcels comes in their order.
    pub(crate) fn open(self, beside: &mut VecDeque<OwnedFd>) -> io::Result<Vec<u8>> {
        let len = match self {
            Self::Here(bytes) => return Ok(bytes),
            Self::Beside(len) => usize::try_from(len).map_err(io::Error::other)?,
        };
        let fd = beside.pop_front().ok_or_else(|| io::Error::other("a parcel came without its memory"))?;
        let memfd = Memfd::from_foreign(fd, len)?;
        Mapping::new(&memfd, len, Access::Read)?.to_vec(len)
    }
}
