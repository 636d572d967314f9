//! The parent's end of a link: publishes requests, takes requests back, takes responses in.
//!
//! It stays in order whatever the worker writes: positions and counts are its own, and what it must read from the worker
//! is checked against them. A worker that breaks the protocol is a [`Violation`]; the caller ends it.

mod revoke;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::bell::{self, Call, Wanted};
use super::chunks::Chunk;
use super::claim::{self, Claim};
use super::glance::Glance;
use super::homes::{Homes, Worker};
use super::layout::Layout;
use super::lease::{Leases, Received};
use super::memory::{LinkFds, Memory, SharedMemory};
use super::requests::{DataSpace, Head, IN_SLOT, Request};
use super::responses::{Frame, Reader};
use super::shelf::{Large, Payload, Shelf};
use super::sync::Ordering;
use super::violation::Violation;
use crate::sys::{Socket, is_own_want};

/// Why a request was not published.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// Too much is in flight; try again after a response.
    Full,
    /// The payload could not be put into shared memory.
    Failed(io::Error),
}

/// A job that was taken back, and its payload.
pub(crate) type TakenBack = (u64, Payload);

/// A response: its frame, and its payload if this process had the means to take it over.
pub(crate) type Response = (Frame, io::Result<Received>);

/// The parent's end.
#[derive(Debug)]
pub(crate) struct ParentEnd {
    pub(super) memory: Arc<SharedMemory>,
    pub(super) layout: Layout,
    socket: Socket,
    pub(super) data: DataSpace,
    /// The requests whose payloads lie there, oldest first; the others lie in their slots or in a segment.
    pub(super) in_data: VecDeque<u32>,
    pub(super) reader: Reader,
    wanted: Wanted,
    /// The number after the last request that stands in a slot.
    pub(super) written: u32,
    /// The number after the last published request; what `limit` must be.
    pub(super) published: u32,
    /// The number of the oldest request without a response.
    pub(super) finished: u32,
    homes: Homes,
    /// The requests whose payloads lie in segments, oldest first.
    in_segments: VecDeque<(u32, Box<Large>)>,
    leases: Leases,
    /// The requests in flight that have several jobs, oldest first.
    pub(super) chunks: VecDeque<Chunk>,
}

impl ParentEnd {
    /// Makes a link. The descriptors and the other end of the socket go to the worker.
    pub(crate) fn create() -> io::Result<(Self, LinkFds, OwnedFd)> {
        let layout = Layout::STANDARD;
        let (memory, fds) = SharedMemory::create(&layout)?;
        let (socket, other) = Socket::pair()?;
        let this = Self {
            memory: Arc::new(memory),
            layout,
            socket,
            data: DataSpace::new(layout.data),
            in_data: VecDeque::new(),
            reader: Reader::default(),
            wanted: Wanted::default(),
            written: 0,
            published: 0,
            finished: 0,
            homes: Homes::default(),
            in_segments: VecDeque::new(),
            leases: Leases::default(),
            chunks: VecDeque::new(),
        };
        Ok((this, fds, other))
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The worker, as those know it who put large arguments into its segments.
    pub(crate) fn worker(&self) -> Worker {
        self.homes.worker()
    }

    /// Requests without a response.
    pub(crate) fn in_flight(&self) -> u32 {
        self.written.wrapping_sub(self.finished)
    }

    /// The number of the oldest request without a response.
    pub(crate) fn oldest(&self) -> u32 {
        self.finished
    }

    /// How many of the requests in flight the worker has not claimed. Only a snapshot; 0 if it cannot be told.
    pub(crate) fn unclaimed(&self) -> u32 {
        self.claim().map_or(0, Claim::waiting)
    }

    /// Writes one request, whose payload is then gone, and returns its number. The worker can have it from
    /// [`publish`](Self::publish) on.
    pub(crate) fn push(&mut self, shelf: &Arc<Shelf>, head: Head, payload: &mut Payload) -> Result<u32, NoRoom> {
        self.push_with(shelf, head, 0, payload)
    }

    /// As `push`, of a request with so many items.
    pub(super) fn push_with(
        &mut self,
        shelf: &Arc<Shelf>,
        Head { target, job, attempt, note }: Head,
        items: u16,
        payload: &mut Payload,
    ) -> Result<u32, NoRoom> {
        if self.in_flight() >= self.layout.slots {
            return Err(NoRoom::Full);
        }
        let (seq, len) = (self.written, payload.len());
        let (segment, at) = if len <= IN_SLOT {
            (0, Request::place_in_slot(seq, &self.layout))
        } else if len <= self.layout.inline_limit() {
            let at = self.layout.data_start() + self.data.take(len).ok_or(NoRoom::Full)?;
            self.in_data.push_back(seq);
            (0, at)
        } else {
            let busy = !self.in_segments.is_empty();
            let settled = self.homes.settle(shelf, &self.socket, payload, busy).map_err(NoRoom::Failed)?;
            (settled.ok_or(NoRoom::Full)?, 0)
        };
        match std::mem::take(payload) {
            Payload::Bytes(bytes) => self.memory.write_request(at, &bytes),
            Payload::Large(large) => self.in_segments.push_back((seq, large)),
        }
        let at = u32::try_from(at).unwrap_or(0);
        Request { seq, target, job, attempt, items, segment, at, note, len: len as u64 }.write(&*self.memory, &self.layout);
        self.written = seq.wrapping_add(1);
        Ok(seq)
    }

    /// Publishes what was written and wakes the worker: one step for all of it.
    pub(crate) fn publish(&mut self) -> Result<(), Violation> {
        if self.published == self.written {
            return Ok(());
        }
        let word = &self.memory.worker_page().claim.0;
        let seen = claim::publish(word, self.published, self.written).map_err(|seen| self.damaged(seen))?;
        self.published = self.written;
        bell::wake_worker(&*self.memory);
        self.check(seen)
    }

    /// The next response, if there is one: the frame and its payload, for the oldest request in flight. A payload that
    /// this process has no means to take over is an error of its own, no fault of the worker's; its segment is lost, and
    /// the link good for nothing but what is in flight.
    pub(crate) fn next_response(&mut self) -> Result<Option<Response>, Violation> {
        let Some((frame, inline)) = self.reader.next(&*self.memory, &self.layout).map_err(Violation)? else {
            self.reader.release(&*self.memory);
            return Ok(None);
        };
        if frame.seq != self.finished || self.published == self.finished {
            return Err(Violation(format!("it answered request {} where {} was due", frame.seq, self.finished)));
        }
        let payload = match frame.segment {
            0 => Ok(Received::Bytes(inline)),
            _ => self.large(frame.segment, frame.len),
        };
        if let Err(error) = &payload
            && !is_own_want(error)
        {
            return Err(Violation(format!("its large response cannot be read: {error}")));
        }
        self.reader.pass(&*self.memory, &self.layout, &frame);
        self.finish();
        Ok(Some((frame, payload)))
    }

    /// The oldest request is answered.
    pub(super) fn finish(&mut self) {
        if self.in_data.pop_front_if(|user| *user == self.finished).is_some() {
            self.data.free_oldest();
        }
        if let Some((_, large)) = self.in_segments.pop_front_if(|(user, _)| *user == self.finished) {
            large.answered();
        }
        self.finished = self.finished.wrapping_add(1);
    }

    /// A payload of `len` bytes in the worker's segment of that number.
    pub(super) fn large(&mut self, segment: u32, len: u64) -> io::Result<Received> {
        self.leases.take(&self.memory, &self.socket, segment, len)
    }

    /// Reads the claim word and checks it against what the parent knows: `finished <= claimed <= limit == published`.
    pub(crate) fn claim(&self) -> Result<Claim, Violation> {
        let claim = claim::read(&self.memory.worker_page().claim.0);
        self.check(claim).map(|()| claim)
    }

    fn check(&self, claim: Claim) -> Result<(), Violation> {
        let claimed = claim.claimed.wrapping_sub(self.finished);
        let is_right = claim.limit == self.published && claimed <= self.published.wrapping_sub(self.finished);
        if is_right { Ok(()) } else { Err(self.damaged(claim)) }
    }

    /// After the worker's death and with all its responses taken: whether it had claimed the oldest request in flight.
    pub(crate) fn was_running(&self) -> Result<bool, Violation> {
        match self.claim()?.claimed.wrapping_sub(self.finished) {
            0 => Ok(false),
            1 => Ok(true),
            // A worker runs one job at a time and answers it before it claims the next.
            more => Err(Violation(format!("it claimed {more} jobs at once"))),
        }
    }

    fn damaged(&self, claim: Claim) -> Violation {
        Violation(format!(
            "its claim word reads {} of {} where the parent knows {} of {}",
            claim.claimed, claim.limit, self.finished, self.published
        ))
    }

    /// What the worker last said it was doing, and since when (monotonic nanoseconds). To be read after its death.
    pub(crate) fn last_words(&self) -> (u32, u64) {
        let page = self.memory.worker_page();
        (page.phase.0.load(Ordering::Relaxed), page.started.0.load(Ordering::Relaxed))
    }

    /// Says when the worker is to call, from [`armed`](super::armed) on. Look for responses once more then.
    pub(crate) fn want(&mut self, call: Call) {
        self.wanted.ask(&*self.memory, call);
    }

    /// When the worker is to call.
    pub(crate) fn wanted(&self) -> Call {
        self.wanted.call()
    }

    /// What a thread needs to look for responses without this end, as long as nobody else takes them.
    pub(crate) fn glance(&self) -> Glance {
        Glance::new(Arc::clone(&self.memory), self.reader.head())
    }

    /// Tells the worker to end once it has no claimed job.
    pub(crate) fn stop(&self) {
        // The fences of the bell order this store; the worker looks at it only to decide whether to sleep.
        self.memory.parent_page().stop.0.store(1, Ordering::Relaxed);
        bell::wake_worker(&*self.memory);
    }
}

impl AsFd for ParentEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
