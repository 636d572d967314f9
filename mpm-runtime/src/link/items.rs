//! Several jobs in one request, a chunk: the word that decides for every item of it whether it was ever started, how its
//! arguments lie in the payload, and how its results travel.
//!
//! What the claim word is to requests ([`claim`](super::claim)) the item word is to the items of one request: one atomic
//! `{ claimed, limit, number }`, where `number` is that of the request, so that a word of an earlier one is never mistaken.
//!
//! | transition | who | effect |
//! |---|---|---|
//! | `{ 0, n, number }` | parent | before the request is published: it has n items |
//! | `claimed + 1`, if `claimed < limit` | worker | the item is the worker's; it will run or die with it |
//! | `limit = max(claimed, to)` | parent | items from there on were never started and are the parent's again |
//!
//! A worker page has [`WORDS`] of them, and a chunk uses the one of its number; so that many requests less one may be in
//! flight when a chunk is published, since a worker may look once more at the word of the one that it has answered.

use super::responses::Kind;
use super::sync::{AtomicU64, Ordering};

/// Item words of a link.
pub(crate) const WORDS: usize = 8;
/// Items that one request can have.
pub(crate) const MOST: u32 = 1024;

/// The word, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemClaim {
    pub(crate) claimed: u32,
    pub(crate) limit: u32,
    pub(crate) number: u32,
}

impl ItemClaim {
    const fn pack(self) -> u64 {
        // { claimed: 16 bits, limit: 16 bits, number: 32 bits }, from the lowest.
        self.claimed as u64 | (self.limit as u64) << 16 | (self.number as u64) << 32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of the word are taken apart on purpose")]
    const fn unpack(word: u64) -> Self {
        Self { claimed: word as u32 & 0xFFFF, limit: (word >> 16) as u32 & 0xFFFF, number: (word >> 32) as u32 }
    }
}

/// Where the word of request `number` lies among the words.
pub(crate) const fn index(number: u32) -> usize {
    number as usize % WORDS
}

/// Parent: a request of `limit` items, not published yet.
pub(crate) fn open(word: &AtomicU64, number: u32, limit: u32) {
    // Relaxed: the publication of the request orders it before the worker's claim of that.
    word.store(ItemClaim { claimed: 0, limit, number }.pack(), Ordering::Relaxed);
}

/// Reads the word. Acquire pairs with the worker's Release in `take`, so that what it wrote before a claim is seen.
pub(crate) fn read(word: &AtomicU64) -> ItemClaim {
    ItemClaim::unpack(word.load(Ordering::Acquire))
}

/// Worker: takes item `next` of request `number`, if there is one. `Err` gives the word as it was found, if it is not what
/// the two sides made it: something has written over it.
pub(crate) fn take(word: &AtomicU64, number: u32, next: u32) -> Result<bool, ItemClaim> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let claim = ItemClaim::unpack(seen);
        if claim.number != number || claim.claimed != next || claim.limit < next {
            return Err(claim);
        }
        if claim.limit == next {
            return Ok(false);
        }
        let taken = ItemClaim { claimed: next + 1, ..claim };
        // Release publishes what this worker wrote before the claim; Acquire pairs with the Release in `take_back`.
        match word.compare_exchange_weak(seen, taken.pack(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(true),
            Err(now) => seen = now,
        }
    }
}

/// Parent: lowers the limit of request `number` to `to`, or to `claimed` where the worker has come further, and returns the
/// new word. `Err` gives the word as it was found, if it is not that request's with this limit.
pub(crate) fn take_back(word: &AtomicU64, number: u32, limit: u32, to: u32) -> Result<ItemClaim, ItemClaim> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let claim = ItemClaim::unpack(seen);
        if claim.number != number || claim.limit != limit || claim.claimed > limit {
            return Err(claim);
        }
        let next = ItemClaim { limit: to.clamp(claim.claimed, limit), ..claim };
        // Acquire pairs with the Release in `take`.
        match word.compare_exchange_weak(seen, next.pack(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(next),
            Err(now) => seen = now,
        }
    }
}

/// Bytes in front of the arguments of each item: their length.
pub(crate) const LENGTH: usize = 4;

/// Where the arguments of item `index` begin, with their length in front, in the payload of a chunk; `None` if there are none.
pub(crate) fn start_of(payload: &[u8], index: u32) -> Option<usize> {
    let mut at = 0;
    for _ in 0..index {
        let length = payload.get(at..)?.first_chunk::<LENGTH>()?;
        at += LENGTH + usize::try_from(u32::from_le_bytes(*length)).ok()?;
    }
    (at <= payload.len()).then_some(at)
}

/// What stands in front of the result of an item, wherever it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemFrame {
    pub(crate) kind: Kind,
    /// The payload is in a segment, and what follows says in which.
    pub(crate) is_large: bool,
    /// Bytes that follow, but for the padding.
    pub(crate) len: usize,
    /// How long the item ran, in nanoseconds, as the worker says, with those before it that say 0; at most some 4 seconds.
    pub(crate) ran: u32,
}

impl ItemFrame {
    pub(crate) const SIZE: usize = 8;
    const LARGE: u64 = 1 << 31;

    /// Bytes that it takes with its payload, in the ring and out of it.
    pub(crate) const fn size(self) -> usize {
        Self::SIZE + self.len.next_multiple_of(8)
    }

    /// `{ length: 24 bits, kind: 7 bits, large: 1 bit, ran: 32 bits }`, from the lowest.
    pub(crate) const fn pack(self) -> u64 {
        let large = if self.is_large { Self::LARGE } else { 0 };
        self.len as u64 & 0xFF_FFFF | (self.kind as u64) << 24 | large | (self.ran as u64) << 32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of the word are taken apart on purpose")]
    #[inline]
    pub(crate) fn unpack(word: u64) -> Option<Self> {
        let kind = Kind::from_u32((word >> 24) as u32 & 0x7F)?;
        Some(Self { kind, is_large: word & Self::LARGE != 0, len: word as usize & 0xFF_FFFF, ran: (word >> 32) as u32 })
    }

    /// Of the frame at the start of `bytes`, with its payload, if all of it is there.
    #[inline]
    pub(crate) fn first_of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let frame = Self::unpack(u64::from_le_bytes(*bytes.first_chunk::<{ Self::SIZE }>()?))?;
        Some((frame, bytes.get(..frame.size())?.get(Self::SIZE..Self::SIZE + frame.len)?))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_claimed_or_taken_back() {
        let word = AtomicU64::new(0);
        open(&word, 7, 3);
        assert_eq!(take(&word, 7, 0), Ok(true));
        assert_eq!(take_back(&word, 7, 3, 0).map(|now| now.limit), Ok(1), "the first is the worker's");
        assert_eq!(take(&word, 7, 1), Ok(false));
        assert!(take_back(&word, 6, 1, 0).is_err() && take_back(&word, 7, 3, 0).is_err());
    }

    #[test]
    fn a_word_that_neither_side_wrote_is_seen_by_both() {
        for garbage in [0, u64::MAX, 7 << 32 | 9, 7 << 32 | 2 << 16 | 3, 8 << 32 | 3 << 16] {
            let word = AtomicU64::new(garbage);
            assert!(take(&word, 7, 0).is_err(), "{garbage:x}");
            assert!(take_back(&word, 7, 3, 1).is_err(), "{garbage:x}");
        }
    }

    #[test]
    fn arguments_are_found_by_their_lengths() {
        let payload = [3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!([0, 1, 2, 3, 4].map(|index| start_of(&payload, index)), [Some(0), Some(7), Some(11), Some(16), None]);
        assert_eq!(start_of(&[255; 8], 1), None);
    }

    #[test]
    fn frames_come_back_as_they_were() {
        for len in [0, 1, 8, 32 * 1024] {
            let frame = ItemFrame { kind: Kind::Panicked, is_large: len == 8, len, ran: 12345 };
            assert_eq!(ItemFrame::unpack(frame.pack()), Some(frame));
        }
        assert_eq!(ItemFrame::unpack(0), None);
        let frame = ItemFrame { kind: Kind::Value, is_large: false, len: 3, ran: 0 };
        let bytes = [&frame.pack().to_le_bytes()[..], &[1, 2, 3, 0, 0, 0, 0, 0]].concat();
        assert_eq!(ItemFrame::first_of(&bytes), Some((frame, &[1, 2, 3][..])));
        assert_eq!(ItemFrame::first_of(&bytes[..15]), None);
    }
}
