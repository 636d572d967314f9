//! Payloads too large for a ring: each side keeps one memory segment for its large payloads and uses it again.
//!
//! The sender makes the segment, maps it, seals it and sends its descriptor over the control socket before the message
//! that names it; the receiver maps it for reading. A segment above `KEEP` is given up after its payload, on both sides
//! by the same rule, so that one large job does not hold memory for a worker's whole life.

use std::io;
use std::os::fd::AsFd;

use crate::sys::{Access, Mapping, Memfd, Socket};

/// Segments up to this size, in bytes, are kept for the next large payload.
const KEEP: usize = 64 * 1024 * 1024;
/// Segments grow in steps of this, so that payloads of nearly one size share a segment.
const STEP: usize = 1024 * 1024;

/// `{ number: u32, 0: u32, capacity: u64 }`, with the descriptor beside it.
const MESSAGE: usize = 16;

#[derive(Debug)]
struct Segment {
    number: u32,
    mapping: Mapping,
}

/// The sending side.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    last: u32,
    segment: Option<Segment>,
    busy: bool,
}

impl Outgoing {
    /// Whether a payload lies in the segment that its receiver has not finished with.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Puts `bytes` into the segment, making a larger one where needed, and returns its number.
    pub(crate) fn put(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<u32> {
        let number = match &self.segment {
            Some(segment) if segment.mapping.len() >= bytes.len() => segment.number,
            _ => self.replace(socket, bytes.len())?,
        };
        if let Some(segment) = &self.segment {
            segment.mapping.write(0, bytes);
        }
        self.busy = true;
        Ok(number)
    }

    fn replace(&mut self, socket: &Socket, len: usize) -> io::Result<u32> {
        self.segment = None;
        let capacity = len.checked_next_multiple_of(STEP).ok_or(io::ErrorKind::OutOfMemory)?;
        let memfd = Memfd::reserved(c"mpm-payload", capacity)?;
        let mapping = Mapping::new(&memfd, capacity, Access::ReadWrite)?;
        memfd.seal(true)?;
        mapping.keep_from_copies()?;
        // 0 means "no segment", so the numbers run from 1 and skip it when they wrap.
        let number = self.last.checked_add(1).unwrap_or(1);
        let mut message = [0; MESSAGE];
        message[0..4].copy_from_slice(&number.to_le_bytes());
        message[8..16].copy_from_slice(&(capacity as u64).to_le_bytes());
        socket.send(&message, &[memfd.as_fd()])?;
        self.last = number;
        self.segment = Some(Segment { number, mapping });
        Ok(number)
    }

    /// The payload of `len` bytes, copied back out: for a message that was taken back.
    pub(crate) fn copy(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        if let Some(segment) = &self.segment {
            segment.mapping.read(0, &mut bytes);
        }
        bytes
    }

    /// The payload was taken back before the receiver looked at it. The segment stays, whatever its size: its descriptor
    /// is on its way, and a second one would only lie behind it.
    pub(crate) fn take_back(&mut self) {
        self.busy = false;
    }

    /// The receiver has finished with the payload, or this side asks before it writes the next one.
    pub(crate) fn release(&mut self) {
        self.busy = false;
        self.segment = self.segment.take().filter(|segment| segment.mapping.len() <= KEEP);
    }
}

/// The receiving side.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    segment: Option<Segment>,
}

impl Incoming {
    /// The mapping of segment `number`, which holds at least `len` bytes, taking its descriptor from the socket if it is
    /// new. With `now`, a descriptor that is not there yet is an error.
    pub(crate) fn get(&mut self, socket: &Socket, number: u32, len: usize, now: bool) -> io::Result<&Mapping> {
        let known = self.segment.take().filter(|segment| segment.number == number);
        let segment = match known {
            Some(segment) => segment,
            None => Self::receive(socket, number, now)?,
        };
        if segment.mapping.len() < len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a payload of {len} bytes in a segment of {}", segment.mapping.len()),
            ));
        }
        Ok(&self.segment.insert(segment).mapping)
    }

    /// Takes the descriptor of segment `expected` from the socket. A side that waits passes over earlier ones: they
    /// belong to payloads that were taken back before they were looked at. A side that does not is owed exactly one.
    fn receive(socket: &Socket, expected: u32, now: bool) -> io::Result<Segment> {
        loop {
            let segment = Self::receive_next(socket, now)?;
            if segment.number == expected {
                return Ok(segment);
            }
            if now {
                let text = format!("segment {} came where {expected} was due", segment.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }

    fn receive_next(socket: &Socket, now: bool) -> io::Result<Segment> {
        let mut message = [0; MESSAGE];
        let (n, mut fds) = socket.receive(&mut message, now)?;
        let (Some(fd), None, MESSAGE) = (fds.pop(), fds.pop(), n) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that announces no segment"));
        };
        let [a, b, c, d, _, _, _, _, capacity @ ..] = message;
        let number = u32::from_le_bytes([a, b, c, d]);
        let capacity = usize::try_from(u64::from_le_bytes(capacity)).map_err(io::Error::other)?;
        let memfd = Memfd::from_foreign(fd, capacity)?;
        Ok(Segment { number, mapping: Mapping::new(&memfd, capacity, Access::Read)? })
    }

    /// The payload has been used.
    pub(crate) fn release(&mut self) {
        self.segment = self.segment.take().filter(|segment| segment.mapping.len() <= KEEP);
    }
}
