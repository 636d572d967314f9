//! The parent's end of requests that have several jobs, chunks: publishes them, takes their results in as they come, and takes
//! back items that were not started.
//!
//! It keeps its own books of each chunk in flight, and believes the item word as little as any other.

use std::io;
use std::sync::Arc;

use super::bytes::Bytes;
use super::items::{self, ItemClaim, ItemFrame, start_of};
use super::lease::Received;
use super::memory::Memory;
use super::parent::{NoRoom, ParentEnd};
use super::requests::{Head, Request};
use super::responses::Kind;
use super::shelf::{Payload, Shelf};
use super::violation::Violation;

/// A chunk in flight.
#[derive(Debug)]
pub(super) struct Chunk {
    number: u32,
    /// Its items that are the worker's business: what the word's limit must be.
    limit: u32,
    answered: u32,
}

/// Results of items of one chunk that have come in.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: u32,
    /// Nanoseconds that all of them ran together, as the worker says.
    pub(crate) ran: u64,
    /// Not all of them are values in their frames.
    pub(crate) has_others: bool,
    /// The last of them is too large for the ring, and lies here if this process had the means to take it over.
    pub(crate) large: Option<io::Result<Received>>,
    /// All items of the chunk are answered; it is in flight no more.
    pub(crate) is_last: bool,
}

/// Bytes that the result of an item is expected to take: with more, the results come in in several steps.
const USUAL: usize = 32;

impl ParentEnd {
    /// As [`push`](Self::push), of a request with several jobs, whose numbers follow each other from `job`. The payload has the
    /// arguments of each with their length in front, and fits into the data space's share of a request.
    pub(crate) fn push_items(&mut self, shelf: &Arc<Shelf>, head: Head, count: u32, payload: &mut Payload) -> Result<u32, NoRoom> {
        if self.in_flight() as usize >= items::WORDS - 1 {
            return Err(NoRoom::Full);
        }
        let number = self.push_with(shelf, head, u16::try_from(count).unwrap_or(u16::MAX), payload)?;
        items::open(self.item_word(number), number, count);
        self.chunks.push_back(Chunk { number, limit: count, answered: 0 });
        Ok(number)
    }

    fn item_word(&self, number: u32) -> &super::sync::AtomicU64 {
        &self.memory.worker_page().items[items::index(number)].0
    }

    /// The oldest request in flight, if it is a chunk.
    fn chunk(&mut self) -> Option<&mut Chunk> {
        self.chunks.front_mut().filter(|chunk| chunk.number == self.finished)
    }

    /// Takes in results of the oldest request in flight, a chunk: those that are there, appended to `into` as frames, one after
    /// the other, which hold what [`ItemFrame`] says whatever the worker does. `None` if there are none.
    pub(crate) fn next_items(&mut self, into: &mut Vec<u8>) -> Result<Option<Batch>, Violation> {
        let Some(&mut Chunk { number, limit, answered }) = self.chunk() else { return Ok(None) };
        let due = limit - answered;
        let start = into.len();
        let mut most = due as usize * USUAL;
        let (batch, taken, large) = loop {
            into.truncate(start);
            let there = self.reader.copy_items(&*self.memory, &self.layout, most, into).map_err(Violation)?;
            if there == 0 {
                self.reader.release(&*self.memory);
                return Ok(None);
            }
            if self.published == self.finished {
                return Err(Violation(format!("it answered request {number}, which it does not have")));
            }
            let (batch, taken, large) = self.count(into.get(start..).unwrap_or_default(), due)?;
            if taken > 0 {
                break (batch, taken, large);
            }
            // The first frame is longer than what was copied, or than what is there.
            if most >= there {
                return Err(Violation("it sent a part of a result".to_owned()));
            }
            most = there;
        };
        let mut batch = batch;
        into.truncate(start + taken);
        if let Some((segment, len)) = large {
            let large = self.large(segment, len);
            if let Err(error) = &large
                && !crate::sys::is_own_want(error)
            {
                return Err(Violation(format!("its large result cannot be read: {error}")));
            }
            batch.large = Some(large);
        }
        self.reader.pass_bytes(&*self.memory, &self.layout, taken as u64);
        batch.is_last = self.note_answered(batch.items);
        Ok(Some(batch))
    }

    /// Looks through frames, at most `due` of them and none behind a large one: how many are whole, how long they are, and
    /// what the large one names.
    #[expect(clippy::type_complexity, reason = "three answers of one walk")]
    fn count(&self, bytes: &[u8], due: u32) -> Result<(Batch, usize, Option<(u32, u64)>), Violation> {
        let (mut batch, mut taken) = (Batch::default(), 0);
        while batch.items < due
            && let Some(word) = bytes.get(taken..).and_then(|bytes| bytes.first_chunk())
        {
            let Some(frame) = ItemFrame::unpack(u64::from_le_bytes(*word)) else {
                return Err(Violation("it sent a result of unknown kind".to_owned()));
            };
            let size = frame.size();
            if size > self.layout.ring {
                return Err(Violation(format!("it announced a result of {} bytes", frame.len)));
            }
            let Some(payload) = bytes.get(taken + ItemFrame::SIZE..taken + size) else { break };
            taken += size;
            batch.items += 1;
            batch.ran += u64::from(frame.ran);
            batch.has_others |= frame.is_large || frame.kind != Kind::Value;
            if frame.is_large {
                let Some((segment, len)) = large_from(payload) else {
                    return Err(Violation("it named no segment for a large result".to_owned()));
                };
                return Ok((batch, taken, Some((segment, len))));
            }
        }
        Ok((batch, taken, None))
    }

    /// So many more items of the oldest request are answered; whether that was its last.
    fn note_answered(&mut self, items: u32) -> bool {
        let Some(chunk) = self.chunk() else { return false };
        chunk.answered += items;
        let is_last = chunk.answered == chunk.limit;
        if is_last {
            self.chunks.pop_front();
            self.finish();
        }
        is_last
    }

    /// Items of the oldest request in flight that nobody has started, if it is a chunk that can be divided. Only a snapshot.
    pub(crate) fn unstarted_items(&mut self) -> u32 {
        let Some(&mut Chunk { number, limit, .. }) = self.chunk() else { return 0 };
        let claim = items::read(self.item_word(number));
        if claim.number == number && claim.limit == limit { limit.saturating_sub(claim.claimed.max(1)) } else { 0 }
    }

    /// Takes back the last `count` items of the oldest request in flight, or so many of them as were not started; but never all of its
    /// items. Returns the number of those that it keeps, the payload of the others, and whether that was the end of it.
    pub(crate) fn take_back_items(&mut self, count: u32) -> Result<Option<(u32, Bytes, bool)>, Violation> {
        let Some(&mut Chunk { number, limit, answered }) = self.chunk() else { return Ok(None) };
        let to = limit.saturating_sub(count).max(1);
        let claim = items::take_back(self.item_word(number), number, limit, to).map_err(|seen| damaged(seen, answered, limit))?;
        if claim.claimed < answered {
            return Err(damaged(claim, answered, limit));
        }
        if claim.limit == limit {
            return Ok(None);
        }
        let payload = self.payload_from(number, claim.limit);
        if let Some(chunk) = self.chunk() {
            chunk.limit = claim.limit;
        }
        let is_last = self.note_answered(0);
        Ok(Some((claim.limit, payload, is_last)))
    }

    /// After the worker's death, with its responses taken, and if the oldest request in flight is a chunk that was claimed: whether an
    /// item of it ran, and the payload of those behind that.
    pub(crate) fn items_at_death(&mut self) -> Result<Option<(bool, Bytes)>, Violation> {
        let Some(&mut Chunk { number, limit, answered }) = self.chunk() else { return Ok(None) };
        let claim = items::read(self.item_word(number));
        if claim.number != number || claim.limit != limit || claim.claimed < answered || claim.claimed > (answered + 1).min(limit) {
            return Err(damaged(claim, answered, limit));
        }
        let payload = self.payload_from(number, claim.claimed);
        Ok(Some((claim.claimed > answered, payload)))
    }

    /// The arguments of the items of request `number` from `first` on. They lie in memory that only the parent writes.
    fn payload_from(&self, number: u32, first: u32) -> Bytes {
        let request = Request::read(number, &*self.memory, &self.layout);
        let mut payload = vec![0; usize::try_from(request.len).unwrap_or(0)];
        self.memory.read_request(usize::try_from(request.at).unwrap_or(0), &mut payload);
        let start = start_of(&payload, first).unwrap_or(payload.len());
        payload.drain(..start);
        payload.into()
    }

    /// The payload of request `number`, which is taken back, without those of its items that were taken back before.
    pub(super) fn without_items_elsewhere(&mut self, number: u32, payload: Payload) -> Payload {
        let Some(chunk) = self.chunks.pop_back_if(|chunk| chunk.number == number) else { return payload };
        match payload {
            Payload::Bytes(bytes) => match start_of(&bytes, chunk.limit) {
                Some(end) if end < bytes.len() => Payload::Bytes(bytes.iter().take(end).copied().collect::<Vec<u8>>().into()),
                _ => Payload::Bytes(bytes),
            },
            // No chunk is so large.
            large @ Payload::Large(_) => large,
        }
    }
}

/// `{ segment: u32, 0: u32, length: u64 }`.
fn large_from(payload: &[u8]) -> Option<(u32, u64)> {
    let (segment, rest) = payload.split_first_chunk()?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*segment), u64::from_le_bytes(*rest.first_chunk()?)))
}

/// See [`large_from`].
pub(super) fn large_to(segment: u32, len: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&segment.to_le_bytes());
    bytes[8..].copy_from_slice(&(len as u64).to_le_bytes());
    bytes
}

fn damaged(claim: ItemClaim, answered: u32, limit: u32) -> Violation {
    Violation(format!(
        "its item word reads {} of {} where the parent knows {answered} of {limit}, of request {}",
        claim.claimed, claim.limit, claim.number
    ))
}
