//! Requests: the parent writes them into slots and contiguous data, the worker reads those that it has claimed.
//!
//! All bookkeeping is the parent's own, on its heap: nothing that decides where it writes next is ever read from shared
//! memory. Data space is given out in the order of numbers and comes back in that order, when a response has arrived, or
//! from the newest end, when requests are taken back.

use std::collections::VecDeque;

use super::layout::{Layout, SLOT};
use super::memory::Memory;

/// One request, as it stands in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The request's number. The worker compares it with the number that it claimed.
    pub(crate) seq: u32,
    pub(crate) target: u32,
    pub(crate) job: u64,
    /// Which try at the job this is, from 1.
    pub(crate) attempt: u16,
    /// 0: the payload lies in the requests memory at `at`, be it in the slot itself; else the number of the segment that
    /// holds it.
    pub(crate) segment: u32,
    pub(crate) at: u32,
    /// 0: the payload is that of one job; else that of so many, each with its length in front (see `items.rs`).
    pub(crate) items: u16,
    /// What else the worker is to know of the job; the rooms above give it meaning.
    pub(crate) note: u32,
    pub(crate) len: u64,
}

/// What is said of a job beside its payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) target: u32,
    pub(crate) job: u64,
    pub(crate) attempt: u16,
    pub(crate) note: u32,
}

/// Bytes of a slot that the request itself takes.
const USED: usize = 40;
/// The rest holds a payload that is no longer than this: then one cache line brings all of a job to its worker.
pub(crate) const IN_SLOT: usize = SLOT - USED;

impl Request {
    fn to_bytes(self) -> [u8; USED] {
        let mut bytes = [0; USED];
        bytes[0..4].copy_from_slice(&self.seq.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.target.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.job.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.items.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.at.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.note.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; USED]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (seq, target, job, attempt, items) = (word(0), word(4), long(8), half(16), half(18));
        Self { seq, target, job, attempt, items, segment: word(20), at: word(24), note: word(28), len: long(32) }
    }

    /// Writes the request into its slot. The slot's number must be outside `claimed..limit`.
    pub(crate) fn write(self, memory: &impl Memory, layout: &Layout) {
        memory.write_request(layout.slot_start(self.seq), &self.to_bytes());
    }

    /// Where a payload lies that fits into the slot of request `seq`.
    pub(crate) fn place_in_slot(seq: u32, layout: &Layout) -> usize {
        layout.slot_start(seq) + USED
    }

    /// Reads the slot of request `seq`: for the worker after its claim, for the parent after taking it back.
    pub(crate) fn read(seq: u32, memory: &impl Memory, layout: &Layout) -> Self {
        let mut bytes = [0; USED];
        memory.read_request(layout.slot_start(seq), &mut bytes);
        Self::from_bytes(&bytes)
    }
}

/// The parent's account of the data space: which bytes belong to which request in flight.
#[derive(Debug)]
pub(crate) struct DataSpace {
    capacity: usize,
    /// From the oldest to the newest: where each payload starts, and how many bytes it keeps.
    extents: VecDeque<(usize, usize)>,
}

/// Extents are multiples of this, so that payloads start aligned.
const GRAIN: usize = 16;

impl DataSpace {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, extents: VecDeque::new() }
    }

    /// Where `len` contiguous bytes would start, if they are free.
    fn place(&self, len: usize) -> Option<usize> {
        let (Some(&(first, _)), Some(&(last, size))) = (self.extents.front(), self.extents.back()) else {
            return (len <= self.capacity).then_some(0);
        };
        let end = last + size;
        if last >= first {
            // [ free | first … last | free ]: behind the newest, else from the start up to the oldest.
            if self.capacity - end >= len { Some(end) } else { (len <= first).then_some(0) }
        } else {
            // [ … last | free | first … ]
            (first - end >= len).then_some(end)
        }
    }

    fn rounded(len: usize) -> usize {
        len.max(1).next_multiple_of(GRAIN)
    }

    /// Takes `len` bytes for the newest request.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        let len = Self::rounded(len);
        let at = self.place(len)?;
        self.extents.push_back((at, len));
        Some(at)
    }

    /// Frees the bytes of the oldest request.
    pub(crate) fn free_oldest(&mut self) {
        self.extents.pop_front();
    }

    /// Frees the bytes of the newest request.
    pub(crate) fn free_newest(&mut self) {
        self.extents.pop_back();
    }
}
