//! The worker's end of a request that has several jobs: claims one after the other, answers each.

use std::io;

use super::chunks::large_to;
use super::items::{self, ItemFrame, LENGTH};
use super::memory::Memory;
use super::requests::Request;
use super::responses::Kind;
use super::sync::Ordering;
use super::worker::{Answer, Corrupt, Notes, WorkerEnd};
use crate::sys::{fault_point, last_tick_nanos, monotonic_nanos};

/// The items of a claimed request.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    answer: Answer<'a>,
    /// The arguments of those to come, each with its length in front.
    payload: &'a [u8],
    next: u32,
    /// The last tick of the clock that was seen, and items answered since the clock was read.
    tick: u64,
    unread: u32,
    /// The clock is read after so many items, or when it has ticked.
    read_every: u32,
}

/// Of items that run for less nanoseconds than this, the clock is read once in so many: reading it takes as long as such an item.
const SHORT: (u64, u32) = (1_000, 16);

impl WorkerEnd {
    /// The items of a claimed request.
    pub(crate) fn open_items(&mut self, request: &Request) -> io::Result<Items<'_>> {
        let (payload, answer) = self.open_request(request)?;
        Ok(Items { answer, payload, next: 0, tick: last_tick_nanos(), unread: 0, read_every: 1 })
    }
}

impl<'a> Items<'a> {
    /// Claims the next item, if there is one left: its arguments.
    pub(crate) fn claim(&mut self) -> Result<Option<&'a [u8]>, Corrupt> {
        let (page, number) = (self.answer.memory.worker_page(), self.answer.seq);
        let taken = items::take(&page.items[items::index(number)].0, number, self.next)
            .map_err(|seen| Corrupt(format!("the item word reads {seen:?} where {} of request {number} was claimed", self.next)))?;
        if !taken {
            self.answer.writer.end(self.answer.memory, number);
            *self.answer.clock = 0;
            return Ok(None);
        }
        page.started.0.store(self.answer.started, Ordering::Relaxed);
        fault_point("item-claimed");
        self.next += 1;
        let missing = || Corrupt(format!("item {} of request {number} has no arguments", self.next - 1));
        let (length, rest) = self.payload.split_first_chunk::<LENGTH>().ok_or_else(missing)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (arguments, rest) = rest.split_at_checked(length).ok_or_else(missing)?;
        self.payload = rest;
        Ok(Some(arguments))
    }

    /// Where to note what is being done with the item.
    pub(crate) fn notes(&self) -> Notes<'a> {
        self.answer.notes()
    }

    /// How long the item ran, together with those before it for which the clock was not read.
    fn ran(&mut self) -> u32 {
        self.unread += 1;
        let tick = last_tick_nanos();
        if tick == self.tick && self.unread < self.read_every {
            return 0;
        }
        let now = monotonic_nanos();
        let ran = now.saturating_sub(self.answer.started);
        self.read_every = if ran / u64::from(self.unread) < SHORT.0 { SHORT.1 } else { 1 };
        (self.tick, self.unread, self.answer.started) = (tick, 0, now);
        u32::try_from(ran).unwrap_or(u32::MAX)
    }

    /// Sends the result of the claimed item; waits while the parent has not taken earlier ones.
    ///
    /// # Errors
    /// When a large payload cannot be put into shared memory. Nothing was sent then.
    pub(crate) fn send(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let ran = self.ran();
        let answer = &mut self.answer;
        if answer.is_large(payload) {
            let segment = answer.put_aside(payload)?;
            let named = large_to(segment, payload.len());
            let frame = ItemFrame { kind, is_large: true, len: named.len(), ran };
            answer.wait_for_room(frame.size());
            answer.writer.put_item(answer.memory, answer.layout, answer.seq, frame, &named);
        } else {
            let frame = ItemFrame { kind, is_large: false, len: payload.len(), ran };
            answer.wait_for_room(frame.size());
            answer.writer.put_item(answer.memory, answer.layout, answer.seq, frame, payload);
        }
        Ok(())
    }
}
