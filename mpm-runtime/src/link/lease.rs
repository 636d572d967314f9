//! Results on their way to those who wait for them. A large one stays in the worker's segment until the thread that wants it
//! copies it out, straight into its own memory and under no lock; then the worker may use the segment again.
//!
//! What nobody has asked for yet thus takes the same bytes as it would on the heap, and no more than [`LENT`] segments of a
//! worker: further results are copied out when they arrive.

use std::io;
use std::sync::Arc;

use super::bytes::Bytes;
use super::memory::{Memory, SharedMemory};
use super::segment::{Incoming, KEEP, SLOTS, slot_of};
use super::sync::Ordering;
use crate::sys::{Mapping, Socket};

/// So many of a worker's segments may be lent at the same time: one always comes back at once.
const LENT: usize = SLOTS - 1;

/// The encoded result of a job.
#[derive(Debug)]
pub(crate) enum Received {
    Bytes(Bytes),
    Lent(Box<Lease>),
}

impl Received {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Lent(lease) => lease.len,
        }
    }

    /// The bytes, copied out of shared memory if they lie there: nobody else can change them any more.
    ///
    /// # Errors
    /// When this process has no memory for them.
    pub(crate) fn into_bytes(self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Lent(lease) => lease.mapping.to_vec(lease.len).map(Bytes::from),
        }
    }

    /// A copy of the bytes, which stay where they are.
    ///
    /// # Errors
    /// As [`into_bytes`](Self::into_bytes).
    pub(crate) fn copy(&self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Lent(lease) => lease.mapping.to_vec(lease.len).map(Bytes::from),
        }
    }
}

/// A payload in a segment of the worker's. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    mapping: Arc<Mapping>,
    len: usize,
    /// Where to tell the worker; `None` if it has given the segment up.
    back: Option<Back>,
}

#[derive(Debug)]
struct Back {
    memory: Arc<SharedMemory>,
    slot: usize,
    uses: u32,
}

impl Back {
    fn give(&self) {
        // Release pairs with the Acquire in `Outgoing::is_free`: the copy comes before the worker's next write.
        self.memory.parent_page().returned.0[self.slot].store(self.uses, Ordering::Release);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A copy of the process that was made by fork does not have the page.
        if let Some(back) = self.back.take_if(|_| self.mapping.is_here()) {
            back.give();
        }
    }
}

/// The parent's account of a worker's segments.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    incoming: Incoming,
    /// How often each was used, and how large it was then.
    used: [(u32, usize); SLOTS],
}

impl Leases {
    /// Takes over a payload of `len` bytes in the segment of that number.
    ///
    /// # Errors
    /// What is wrong with the segment, or what this process lacks to take it over.
    pub(crate) fn take(&mut self, memory: &Arc<SharedMemory>, socket: &Socket, segment: u32, len: u64) -> io::Result<Received> {
        let slot = slot_of(segment);
        let uses = self.used[slot].0.wrapping_add(1);
        let back = Back { memory: Arc::clone(memory), slot, uses };
        let lent = || (0..SLOTS).filter(|other| *other != slot && self.is_lent(memory, *other));
        let (count, bytes) = (lent().count(), lent().map(|other| self.used[other].1).sum::<usize>());
        self.used[slot] = (uses, 0);
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let taken =
            self.incoming.get(socket, segment, len, true).map(|mapping| Lease { mapping: Arc::clone(mapping), len, back: None });
        let mut lease = match taken {
            Ok(lease) => lease,
            Err(error) => {
                back.give();
                return Err(error);
            }
        };
        let capacity = lease.mapping.len();
        self.used[slot].1 = capacity;
        if capacity > KEEP {
            // The worker has given it up already.
            back.give();
            self.incoming.release(segment);
            return Ok(Received::Lent(Box::new(lease)));
        }
        lease.back = Some(back);
        let received = Received::Lent(Box::new(lease));
        if count < LENT && bytes + capacity <= KEEP { Ok(received) } else { received.into_bytes().map(Received::Bytes) }
    }

    /// Read from a page that only the parent writes.
    fn is_lent(&self, memory: &SharedMemory, slot: usize) -> bool {
        memory.parent_page().returned.0[slot].load(Ordering::Relaxed) != self.used[slot].0
    }
}
