//! Payloads too large for a ring: segments of memory, each filled by one side and mapped by the other for reading.
//!
//! A side has a few places for the segments of the other, and a segment's number says in which it belongs: what was there
//! before is given up by both. The sender makes the segment, maps it, seals it and sends its descriptor over the control
//! socket before the message that names it; from then on a number is enough, as often as the segment is used again. A
//! segment above `KEEP` is given up after its payload, on both sides by the same rule, so that one large job does not hold
//! memory for a worker's whole life.
//!
//! Here is what both sides do, and the worker's own segments. The parent's own are the pool's (`shelf.rs`).

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::memory::Memory;
use super::sync::Ordering;
use crate::sys::{Access, Mapping, Memfd, Socket};

/// How many segments of one side the other side keeps mapped.
pub(crate) const SLOTS: usize = 4;
/// Segments up to this size, in bytes, are kept for the next large payload.
pub(crate) const KEEP: usize = 64 * 1024 * 1024;
/// Segments grow in steps of this, so that payloads of nearly one size share a segment.
const STEP: usize = 1024 * 1024;

/// `{ number: u32, 0: u32, capacity: u64 }`, with the descriptor beside it.
const MESSAGE: usize = 16;

/// The place that the segment of this number belongs to.
pub(crate) const fn slot_of(number: u32) -> usize {
    number as usize % SLOTS
}

/// The number after `last` for the same place. 0 is no number: it means "no segment".
pub(crate) const fn number_after(last: u32, slot: usize) -> u32 {
    match last.checked_add(SLOTS as u32) {
        Some(number) if last != 0 => number,
        _ => (SLOTS + slot) as u32,
    }
}

/// Makes the memory of a segment, for `len` bytes or some more: all of it is there, and nobody else can ever write to it.
pub(crate) fn make(len: usize) -> io::Result<(Memfd, Mapping)> {
    let capacity = len.checked_next_multiple_of(STEP).ok_or(io::ErrorKind::OutOfMemory)?;
    let memfd = Memfd::reserved(c"mpm-payload", capacity)?;
    let mapping = Mapping::new(&memfd, capacity, Access::ReadWrite)?;
    memfd.seal(true)?;
    mapping.keep_from_copies()?;
    Ok((memfd, mapping))
}

/// Tells the other side of a segment.
pub(crate) fn announce(socket: &Socket, number: u32, capacity: usize, memfd: impl AsFd) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    message[0..4].copy_from_slice(&number.to_le_bytes());
    message[8..16].copy_from_slice(&(capacity as u64).to_le_bytes());
    socket.send(&message, &[memfd.as_fd()])
}

/// The other side's segments.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    slots: [Option<(u32, Arc<Mapping>)>; SLOTS],
}

impl Incoming {
    /// The mapping of segment `number`, which holds at least `len` bytes, taking its descriptor from the socket if it is
    /// new. With `now`, a descriptor that is not there yet is an error.
    pub(crate) fn get(&mut self, socket: &Socket, number: u32, len: usize, now: bool) -> io::Result<&Arc<Mapping>> {
        if !self.has(number) {
            self.receive(socket, number, now)?;
        }
        let mapping = self.slots[slot_of(number)].as_ref().map(|(_, mapping)| mapping);
        let mapping = mapping.ok_or_else(|| io::Error::other("the segment is not there"))?;
        let capacity = mapping.len();
        if capacity < len {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a payload of {len} bytes in a segment of {capacity}")));
        }
        Ok(mapping)
    }

    fn has(&self, number: u32) -> bool {
        self.slots[slot_of(number)].as_ref().is_some_and(|(known, _)| *known == number)
    }

    /// Takes descriptors from the socket up to that of segment `expected`. A side that waits keeps earlier ones as well: they
    /// belong to payloads that were taken back before they were looked at, and may still be used. A side that does not is owed
    /// exactly one.
    fn receive(&mut self, socket: &Socket, expected: u32, now: bool) -> io::Result<()> {
        while !self.has(expected) {
            let (number, mapping) = Self::receive_next(socket, now)?;
            if now && number != expected {
                let text = format!("segment {number} came where {expected} was due");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            if now {
                // A copy of the parent has no use for it. In a worker it is an argument of a job, which may fork and read it there.
                mapping.keep_from_copies()?;
            }
            self.slots[slot_of(number)] = Some((number, Arc::new(mapping)));
        }
        Ok(())
    }

    fn receive_next(socket: &Socket, now: bool) -> io::Result<(u32, Mapping)> {
        let mut message = [0; MESSAGE];
        let (n, mut fds) = socket.receive(&mut message, now)?;
        let (Some(fd), None, MESSAGE) = (fds.pop(), fds.pop(), n) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that announces no segment"));
        };
        let [a, b, c, d, _, _, _, _, capacity @ ..] = message;
        let number = u32::from_le_bytes([a, b, c, d]);
        let capacity = usize::try_from(u64::from_le_bytes(capacity)).map_err(io::Error::other)?;
        let memfd = Memfd::from_foreign(fd, capacity)?;
        Ok((number, Mapping::new(&memfd, capacity, Access::Read)?))
    }

    /// The payload in this segment has been used, or is in other hands.
    pub(crate) fn release(&mut self, number: u32) {
        self.slots[slot_of(number)].take_if(|(known, mapping)| *known == number && mapping.len() > KEEP);
    }
}

/// The worker's own segments, for large results. The parent may keep one for a while after it has taken the frame that names it:
/// until somebody has copied the result. Each use of a segment is counted, here and in `ParentPage::returned`; it may be
/// written to where both counts are the same. The parent keeps so few (`lease.rs`) that a worker always gets one back.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    slots: [Own; SLOTS],
    clock: u64,
}

#[derive(Debug, Default)]
struct Own {
    /// The last one in this place.
    number: u32,
    mapping: Option<Mapping>,
    uses: u32,
    /// When it was last used; a counter, not a time.
    last: u64,
}

impl Own {
    fn capacity(&self) -> usize {
        self.mapping.as_ref().map_or(0, Mapping::len)
    }
}

impl Outgoing {
    /// Whether [`put`](Self::put) has a place for another payload.
    pub(crate) fn is_ready(&self, memory: &impl Memory) -> bool {
        (0..SLOTS).any(|slot| self.is_free(memory, slot))
    }

    fn is_free(&self, memory: &impl Memory, slot: usize) -> bool {
        // Acquire pairs with the Release of whoever gave it back: his copy was made before this side writes there.
        memory.parent_page().returned.0[slot].load(Ordering::Acquire) == self.slots[slot].uses
    }

    /// The place for a payload of `len` bytes: a segment that holds it, the last used first, since its pages are warm; else an empty
    /// place, unless there is much memory in the others; else the one that was not used for longest.
    fn choose(&self, memory: &impl Memory, len: usize) -> Option<usize> {
        let free = || (0..SLOTS).filter(|slot| self.is_free(memory, *slot));
        let fits = free().filter(|slot| self.slots[*slot].capacity() >= len).max_by_key(|slot| self.slots[*slot].last);
        let much = self.slots.iter().map(Own::capacity).sum::<usize>() + len > KEEP;
        let empty = free().min_by_key(|slot| ((self.slots[*slot].capacity() > 0) != much, self.slots[*slot].last));
        fits.or(empty)
    }

    /// Puts `bytes` into a segment, making one where needed, and returns its number.
    ///
    /// # Errors
    /// When a segment cannot be made, or none [is ready](Self::is_ready).
    pub(crate) fn put(&mut self, memory: &impl Memory, socket: &Socket, bytes: &[u8]) -> io::Result<u32> {
        let slot = self.choose(memory, bytes.len()).ok_or(io::ErrorKind::WouldBlock)?;
        let own = &mut self.slots[slot];
        if own.capacity() < bytes.len() {
            own.mapping = None;
            let (memfd, mapping) = make(bytes.len())?;
            let number = number_after(own.number, slot);
            announce(socket, number, mapping.len(), &memfd)?;
            (own.number, own.mapping) = (number, Some(mapping));
        }
        if let Some(mapping) = &own.mapping {
            mapping.write(0, bytes);
        }
        self.clock += 1;
        (own.uses, own.last) = (own.uses.wrapping_add(1), self.clock);
        // The parent has the descriptor. What is not kept is not to wait here for the next large result.
        own.mapping.take_if(|mapping| mapping.len() > KEEP);
        Ok(own.number)
    }
}
