//! The response ring: the worker writes frames, the parent takes them out and believes nothing about them.

use super::bell::{self, Caller, Patience};
use super::bytes::Bytes;
use super::items::ItemFrame;
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
    /// The job ended itself, as it was asked to.
    EndedEarly = 5,
    /// The job's object could not be built; the payload says why.
    NotBuilt = 6,
}

impl Kind {
    pub(super) fn from_u32(number: u32) -> Option<Self> {
        let all = [Self::Value, Self::Panicked, Self::BadArguments, Self::BadResult, Self::EndedEarly, Self::NotBuilt];
        all.into_iter().find(|kind| *kind as u32 == number)
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

pub(super) const HEADER: usize = 32;
/// Results of items up to so many bytes are copied together with what stands in front of them.
const SHORT: usize = 24;
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

/// Where in the ring, whose size is a power of two, a position lies.
fn place(position: u64, ring: usize) -> usize {
    debug_assert!(ring.is_power_of_two());
    usize::try_from(position & (ring as u64 - 1)).unwrap_or(0)
}

/// The part of `size` bytes at ring position `from` that lies before the ring's end.
fn split(from: u64, size: usize, ring: usize) -> (usize, usize) {
    let at = place(from, ring);
    (PAGE + at, size.min(ring - at))
}

/// Worker: the writing end. Its position is its own; the shared word only tells the parent.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    tail: u64,
    /// How far the parent had taken the frames at the last look, so that not each costs a look at its word.
    taken: u64,
    caller: Caller,
}

impl Writer {
    /// Whether a frame of `size` bytes, but for the padding, fits now.
    pub(crate) fn fits(&self, memory: &impl Memory, layout: &Layout, size: usize) -> bool {
        // Acquire pairs with the parent's Release: it has copied the bytes that are about to be overwritten.
        self.fits_behind(memory.parent_page().head.0.load(Ordering::Acquire), layout, size)
    }

    fn fits_behind(&self, head: u64, layout: &Layout, size: usize) -> bool {
        self.tail.wrapping_sub(head) + size.next_multiple_of(GRAIN as usize) as u64 <= layout.ring as u64
    }

    /// As `fits`, as far as it is known without a look.
    pub(super) fn is_known_to_fit(&self, layout: &Layout, size: usize) -> bool {
        self.fits_behind(self.taken, layout, size)
    }

    pub(super) fn note_room(&mut self, memory: &impl Memory) {
        self.taken = memory.parent_page().head.0.load(Ordering::Acquire);
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

    /// Writes the result of an item of request `number`, which fits, and makes it visible. Such a result counts as one more
    /// response to the request before: a response to its own is only the end of its last item (see [`end`](Self::end)).
    pub(super) fn put_item(&mut self, memory: &impl Memory, layout: &Layout, number: u32, frame: ItemFrame, payload: &[u8]) -> u64 {
        let at = place(self.tail, layout.ring);
        let size = frame.size() as u64;
        if payload.len() <= SHORT && at + frame.size() <= layout.ring {
            // Put together here, for one copy into shared memory.
            let mut bytes = [0; ItemFrame::SIZE + SHORT];
            bytes[..ItemFrame::SIZE].copy_from_slice(&frame.pack().to_le_bytes());
            bytes[ItemFrame::SIZE..ItemFrame::SIZE + payload.len()].copy_from_slice(payload);
            memory.write_response(PAGE + at, &bytes[..frame.size()]);
        } else {
            self.copy(memory, layout, 0, &frame.pack().to_le_bytes());
            self.copy(memory, layout, ItemFrame::SIZE as u64, payload);
        }
        self.tail += size;
        fault_point("item-written");
        // Release pairs with the parent's Acquire in `Reader::copy_items`: the bytes come before the position.
        memory.worker_page().tail.0.store(self.tail, Ordering::Release);
        fault_point("item-published");
        self.caller.tell(memory, number.wrapping_sub(1));
        fault_point("item-rung");
        self.tail
    }

    /// Request `number`, of several items, is answered.
    pub(super) fn end(&mut self, memory: &impl Memory, number: u32) {
        self.caller.tell(memory, number);
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
        let used = self.used(memory, layout)?;
        if used == 0 {
            return Ok(None);
        }
        if used < HEADER as u64 {
            return Err(self.is_lost());
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

    /// Bytes that are there.
    fn used(&mut self, memory: &impl Memory, layout: &Layout) -> Result<u64, String> {
        if self.seen == self.head {
            // Acquire pairs with the worker's Release in `Writer::put` and `Writer::put_item`.
            self.seen = memory.worker_page().tail.0.load(Ordering::Acquire);
        }
        let used = self.seen.wrapping_sub(self.head);
        if used > layout.ring as u64 || !used.is_multiple_of(GRAIN) {
            return Err(self.is_lost());
        }
        Ok(used)
    }

    fn is_lost(&self) -> String {
        format!("its response position is {} where the parent's is {}", self.seen, self.head)
    }

    /// Appends what is there, at most `most` bytes, to `into`: to be looked at there, where the worker cannot change it, and
    /// then to be taken by [`pass_bytes`](Self::pass_bytes) as far as it is whole frames. Returns the bytes that are there.
    pub(super) fn copy_items(
        &mut self,
        memory: &impl Memory,
        layout: &Layout,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let used = usize::try_from(self.used(memory, layout)?).unwrap_or(0);
        let before = into.len();
        into.resize(before + used.min(most), 0);
        if let Some(into) = into.get_mut(before..) {
            self.copy(memory, layout, 0, into);
        }
        Ok(used)
    }

    /// The frame is taken. Its bytes go back to the worker with those of the frames around it.
    pub(crate) fn pass(&mut self, memory: &impl Memory, layout: &Layout, frame: &Frame) {
        self.pass_bytes(memory, layout, frame.size().unwrap_or(0));
    }

    pub(super) fn pass_bytes(&mut self, memory: &impl Memory, layout: &Layout, bytes: u64) {
        self.head += bytes;
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
