//! Where everything lies in the two memories of a link.
//!
//! ```text
//! requests  (the worker maps it read-only; sealed, so it cannot do otherwise)
//!   page 0   ParentPage   words that only the parent writes
//!   then     slots        one fixed-size Request per job in flight, slot = sequence number mod slots
//!   then     data         encoded arguments, each contiguous
//! responses (both map it for writing; the parent believes nothing that it reads here)
//!   page 0   WorkerPage   the claim word and words that only the worker writes
//!   then     ring         frames, bytes numbered from 0, position = number mod ring size
//! ```

use super::items;
use super::segment::SLOTS;
use super::sync::{AtomicU32, AtomicU64};
use super::talk::{MarkWords, ProgressWords};

/// Room for the page of words at the start of each memory.
pub(crate) const PAGE: usize = 4096;
/// Bytes that one request slot takes.
pub(crate) const SLOT: usize = 64;

/// The sizes of a link, in slots and bytes; all powers of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) slots: u32,
    pub(crate) data: usize,
    pub(crate) ring: usize,
}

const _: () = assert!(Layout::STANDARD.slots.is_power_of_two() && Layout::STANDARD.ring.is_power_of_two());

/// Larger payloads travel in segments.
pub(crate) const INLINE: usize = Layout::STANDARD.inline_limit();

impl Layout {
    /// What every link of a pool uses: pages are taken on first touch, so a quiet worker costs a few.
    pub(crate) const STANDARD: Self = Self { slots: 512, data: 128 * 1024, ring: 128 * 1024 };

    /// Payloads above this travel in a segment of their own, so that one of them cannot fill a ring.
    pub(crate) const fn inline_limit(&self) -> usize {
        self.data / 4
    }

    pub(crate) const fn requests_len(&self) -> usize {
        self.data_start() + self.data
    }

    pub(crate) const fn responses_len(&self) -> usize {
        PAGE + self.ring
    }

    pub(crate) const fn slot_start(&self, seq: u32) -> usize {
        PAGE + (seq & (self.slots - 1)) as usize * SLOT
    }

    pub(crate) const fn data_start(&self) -> usize {
        PAGE + self.slots as usize * SLOT
    }
}

/// A word alone on its cache line, so that the two sides do not slow each other down.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line<T>(pub(crate) T);

/// Words that the parent writes and the worker reads.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct ParentPage {
    /// Bytes of the response ring that the parent has taken. Written by the parent with Release after it has copied
    /// them; the worker reads with Acquire before it overwrites them.
    pub(crate) head: Line<AtomicU64>,
    /// At which response the parent wants to be told, and how (see `bell.rs`).
    pub(crate) wanted: Line<AtomicU64>,
    /// 1 once the worker shall end as soon as it has no claimed job.
    pub(crate) stop: Line<AtomicU32>,
    /// `{ number, kind }`: request `number` is asked to end, see `talk.rs`.
    pub(crate) notice: Line<AtomicU64>,
    /// For each of the worker's segments, how often it has been given back. Written with Release, by whatever thread has made its
    /// copy; the worker reads with Acquire before it writes there again (see `segment.rs`).
    pub(crate) returned: Line<[AtomicU32; SLOTS]>,
    /// How many bytes of memory the worker may hold after a job; 0 for no limit. Relaxed: a new limit holds from some job on.
    pub(crate) max_size: Line<AtomicU64>,
}

/// Words that the worker writes; the claim word and the item words alone are written by both.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct WorkerPage {
    /// `{ claimed, limit }`, see `claim.rs`.
    pub(crate) claim: Line<AtomicU64>,
    /// Bytes of the response ring that are whole frames. Written by the worker with Release after the bytes; the parent
    /// reads with Acquire before it copies them.
    pub(crate) tail: Line<AtomicU64>,
    /// AWAKE or ASLEEP, see `bell.rs`. The parent writes it too, to AWAKE only.
    pub(crate) bell: Line<AtomicU32>,
    /// What the worker is doing with its claimed job, a number that the rooms above give meaning. Relaxed: a note for
    /// reports, read after death, when the exit has ordered everything.
    pub(crate) phase: Line<AtomicU32>,
    /// When the claimed job was claimed, on the monotonic clock in nanoseconds. Relaxed, as `phase`.
    pub(crate) started: Line<AtomicU64>,
    /// `{ claimed, limit, number }` of requests with several jobs, see `items.rs`. Written by both, as the claim word.
    pub(crate) items: [Line<AtomicU64>; items::WORDS],
    /// Counts the calls to a thread that sleeps for the end of a request and not for the next response, which sleeps on this.
    pub(crate) calls: Line<AtomicU32>,
    /// Since when a job runs, and how far it has come, see `talk.rs`.
    pub(crate) marks: Line<MarkWords>,
    pub(crate) progress: Line<ProgressWords>,
    /// How many bytes the worker held when it last found that these are too many; 0 if it never did. Relaxed: a note, of which the
    /// doorbell tells.
    pub(crate) oversize: Line<AtomicU64>,
}
