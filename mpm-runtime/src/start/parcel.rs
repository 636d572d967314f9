//! Bytes that travel beside a handshake: small ones in the message, large ones in memory of their own.

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
    /// In the memory whose descriptor comes with the message, last of all: so many bytes.
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

    /// Unpacks what the parent packed; `beside` is the last descriptor that came along.
    pub(super) fn open(self, beside: Option<OwnedFd>) -> io::Result<Vec<u8>> {
        let len = match self {
            Self::Here(bytes) => return Ok(bytes),
            Self::Beside(len) => usize::try_from(len).map_err(io::Error::other)?,
        };
        let fd = beside.ok_or_else(|| io::Error::other("a parcel came without its memory"))?;
        let memfd = Memfd::from_foreign(fd, len)?;
        let mut bytes = vec![0; len];
        Mapping::new(&memfd, len, Access::Read)?.read(0, &mut bytes);
        Ok(bytes)
    }
}
