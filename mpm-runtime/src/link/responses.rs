//! The response ring: the worker writes frames, the parent takes them out and believes nothing about them.

use super::bell::{self, Caller, Patience};
use super::bytes::Bytes;
use super::layout::{Layout, PAGE};
use super::memory::Memory;
use super::sync::Ordering;
use crate::sys::fault_point;

/// What a frame says. The link gives the numbers no meaning beyond being known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The job returned; the payload is its encoded result.
    Value = 1,
    /// The job panicked; the payload describes the panic.
    Panicked = 2,
    /// The arguments could not be decoded; the payload is text.
    BadArguments = 3,
    /// The result could not be encoded; the payload is text.
    BadResult = 4,
}

impl Kind {
    fn from_u32(number: u32) -> Option<Self> {
        [Self::Value, Self::Panicked, Self::BadArguments, Self::BadResult].into_iter().find(|kind| *kind as u32 == number)
    }
}

/// One frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The request that it answers.
    pub(crate) seq: u32,
    pub(crate) kind: Kind,
    /// 0: `len` bytes follow in the ring; else they lie in the segment of this number.
    pub(crate) segment: u32,
    pub(crate) len: u64,
    /// How long the job ran, in nanoseconds, as the worker says.
    pub(crate) ran: u64,
}

const HEADER: usize = 32;
/// Frames start at multiples of this.
const GRAIN: u64 = 8;

impl Frame {
    fn inline_len(&self) -> u64 {
        if self.segment == 0 { self.len } else { 0 }
    }

    /// Bytes that the frame takes in the ring.
    fn size(&self) -> Option<u64> {
        self.inline_len().checked_next_multiple_of(GRAIN)?.checked_add(HEADER as u64)
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&self.seq.to_le_bytes());
        bytes[4..8].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.ran.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        Some(Self { seq: word(0), kind: Kind::from_u32(word(4))?, segment: word(8), len: long(16), ran: long(24) })
    }
}

/// The part of `size` bytes at ring position `from` that lies before the ring's end.
fn split(from: u64, size: usize, ring: usize) -> (usize, usize) {
    let at = usize::try_from(from % ring as u64).unwrap_or(0);
    (PAGE + at, size.min(ring - at))
}

/// Worker: the writing end. Its position is its own; the shared word only tells the parent.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    tail: u64,
    caller: Caller,
}

impl Writer {
    /// Whether a frame with `inline` payload bytes fits now.
    pub(crate) fn fits(&self, memory: &impl Memory, layout: &Layout, inline: usize) -> bool {
        let need = (HEADER + inline.next_multiple_of(GRAIN as usize)) as u64;
        // Acquire pairs with the parent's Release: it has copied the bytes that are about to be overwritten.
        let head = memory.parent_page().head.0.load(Ordering::Acquire);
        self.tail.wrapping_sub(head) + need <= layout.ring as u64
    }

    /// Waits until `ready` holds, for which the parent has to take responses: it is called, since it may want to look later.
    pub(crate) fn wait(&self, memory: &impl Memory, patience: Option<&mut Patience>, ready: impl Fn(&Self) -> bool) {
        if !ready(self) {
            Caller::call(memory);
            bell::wait(memory, patience, bell::FULL, || ready(self));
        }
    }

    /// Writes a frame that fits, makes it visible and tells the parent if that wants it.
    pub(crate) fn put(&mut self, memory: &impl Memory, layout: &Layout, frame: Frame, inline: &[u8]) {
        self.copy(memory, layout, 0, &frame.to_bytes());
        self.copy(memory, layout, HEADER as u64, inline);
        self.tail += (HEADER + inline.len().next_multiple_of(GRAIN as usize)) as u64;
        fault_point("written");
        // Release pairs with the parent's Acquire in `Reader::next`: the bytes come before the position.
        memory.worker_page().tail.0.store(self.tail, Ordering::Release);
        fault_point("published");
        self.caller.tell(memory, frame.seq);
        fault_point("rung");
    }

    fn copy(&self, memory: &impl Memory, layout: &Layout, ahead: u64, bytes: &[u8]) {
        let (at, first) = split(self.tail + ahead, bytes.len(), layout.ring);
        let (head, rest) = bytes.split_at(first);
        memory.write_response(at, head);
        if !rest.is_empty() {
            memory.write_response(PAGE, rest);
        }
    }
}

/// Parent: the reading end.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: u64,
    /// How far the frames reach that were there at the last look, so that not each costs a look at the worker's word.
    seen: u64,
    /// The bytes before this were given back to the worker.
    released: u64,
}

impl Reader {
    /// The next frame with its inline bytes, `None` if there is none yet.
    ///
    /// Everything is checked against the parent's own position before a byte is copied, and the header is copied before
    /// it is looked at, so that a worker that writes at the same time can change values but not their limits.
    ///
    /// # Errors
    /// What is wrong with the ring. The frame is not taken.
    pub(crate) fn next(&mut self, memory: &impl Memory, layout: &Layout) -> Result<Option<(Frame, Bytes)>, String> {
        if self.seen == self.head {
            // Acquire pairs with the worker's Release in `Writer::put`.
            self.seen = memory.worker_page().tail.0.load(Ordering::Acquire);
        }
        let (tail, used) = (self.seen, self.seen.wrapping_sub(self.head));
        if used == 0 {
            return Ok(None);
        }
        if used > layout.ring as u64 || used < HEADER as u64 || !used.is_multiple_of(GRAIN) {
            return Err(format!("its response position is {tail} where the parent's is {}", self.head));
        }
        let mut header = [0; HEADER];
        self.copy(memory, layout, 0, &mut header);
        let Some(frame) = Frame::from_bytes(&header) else {
            return Err("it sent a response of unknown kind".to_owned());
        };
        if frame.size().is_none_or(|size| size > used) {
            return Err(format!("it announced a response of {} bytes and sent {used}", frame.len));
        }
        // Bounded by the ring: the size was just compared with `used`.
        let mut bytes = Bytes::zeros(usize::try_from(frame.inline_len()).unwrap_or(0));
        self.copy(memory, layout, HEADER as u64, &mut bytes);
        Ok(Some((frame, bytes)))
    }

    /// The frame is taken. Its bytes go back to the worker with those of the frames around it.
    pub(crate) fn pass(&mut self, memory: &impl Memory, layout: &Layout, frame: &Frame) {
        self.head += frame.size().unwrap_or(0);
        if self.head - self.released > layout.ring as u64 / 2 {
            self.release(memory);
        }
    }

    /// Where the frames begin that are not taken yet.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Gives the bytes of the frames that were taken back to the worker, which may sleep for want of room: to be called when
    /// there is no next one.
    pub(crate) fn release(&mut self, memory: &impl Memory) {
        if self.released == self.head {
            return;
        }
        self.released = self.head;
        // Release pairs with the worker's Acquire in `Writer::fits`: the bytes were copied before.
        memory.parent_page().head.0.store(self.head, Ordering::Release);
        bell::wake_worker_from(memory, bell::FULL);
    }

    fn copy(&self, memory: &impl Memory, layout: &Layout, ahead: u64, into: &mut [u8]) {
        let (at, first) = split(self.head + ahead, into.len(), layout.ring);
        let (head, rest) = into.split_at_mut(first);
        memory.read_response(at, head);
        if !rest.is_empty() {
            memory.read_response(PAGE, rest);
        }
    }
}
