//! The claim word: one atomic `{ claimed, limit }` that decides for every job whether it was ever started.
//!
//! Requests are numbered from 0, wrapping. `limit` is the number after the last one published, `claimed` the number after
//! the last one that the worker has taken:
//!
//! ```text
//!   … finished …  | claimed, running |  published, not claimed  |  free slots …
//!                 ^                  ^                          ^
//!                 claimed - 1        claimed                    limit
//! ```
//!
//! | transition | who | effect |
//! |---|---|---|
//! | `limit + n` | parent | n requests are published: their slots were written before |
//! | `claimed + 1`, if `claimed < limit` | worker | the request is the worker's; it will run or die with it |
//! | `limit = max(claimed, to)` | parent | requests from there on were never started and are the parent's again |
//!
//! Every transition is one compare-and-swap on the whole word, so publishing, claiming and taking back exclude each other
//! without a lock, and a worker killed between any two instructions leaves the word in exactly one of its states. A slot
//! is written only while its number is outside `claimed..limit`, and read by the worker only after its claim.

use super::sync::{AtomicU64, Ordering};

/// The word, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) claimed: u32,
    pub(crate) limit: u32,
}

impl Claim {
    const fn pack(self) -> u64 {
        // { claimed, limit }: low half claimed, high half limit.
        self.claimed as u64 | (self.limit as u64) << 32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves of the word are taken apart on purpose")]
    const fn unpack(word: u64) -> Self {
        Self { claimed: word as u32, limit: (word >> 32) as u32 }
    }

    /// Published and not claimed.
    pub(crate) const fn waiting(self) -> u32 {
        self.limit.wrapping_sub(self.claimed)
    }
}

/// Reads the word. Acquire pairs with the worker's Release in `take`, so that what it wrote before a claim is seen.
pub(crate) fn read(word: &AtomicU64) -> Claim {
    Claim::unpack(word.load(Ordering::Acquire))
}

/// Parent: raises the limit from `limit` to `to`, and returns the new word. `Err` gives the word as it was found, if another
/// hand has changed it.
pub(crate) fn publish(word: &AtomicU64, limit: u32, to: u32) -> Result<Claim, Claim> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let claim = Claim::unpack(seen);
        if claim.limit != limit {
            return Err(claim);
        }
        let next = Claim { limit: to, ..claim };
        // Release pairs with the Acquire in `take`: the slot and its data are written before they can be claimed.
        match word.compare_exchange_weak(seen, next.pack(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Ok(next),
            Err(now) => seen = now,
        }
    }
}

/// Parent: lowers the limit to `to`, or to `claimed` where the worker has come further, and returns the new word.
pub(crate) fn take_back(word: &AtomicU64, to: u32) -> Claim {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let claim = Claim::unpack(seen);
        let behind_claimed = to.wrapping_sub(claim.claimed) > claim.waiting();
        let next = Claim { limit: if behind_claimed { claim.claimed } else { to }, ..claim };
        // Acquire pairs with the Release in `take`; Release keeps later writes to the freed slots behind this point, for
        // a worker that claims one of them anew.
        match word.compare_exchange_weak(seen, next.pack(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return next,
            Err(now) => seen = now,
        }
    }
}

/// Worker: takes the next request, number `next`, if it is published. `Err` gives the word as it was found, if `claimed`
/// is not what this worker made it: something has written over it.
pub(crate) fn take(word: &AtomicU64, next: u32) -> Result<bool, Claim> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let claim = Claim::unpack(seen);
        if claim.claimed != next {
            return Err(claim);
        }
        if claim.waiting() == 0 {
            return Ok(false);
        }
        let taken = Claim { claimed: next.wrapping_add(1), ..claim };
        // Acquire pairs with the Release in `publish`; Release publishes what this worker wrote before the claim.
        match word.compare_exchange_weak(seen, taken.pack(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(true),
            Err(now) => seen = now,
        }
    }
}
