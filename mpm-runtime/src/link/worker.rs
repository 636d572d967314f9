//! The worker's end of a link: claims requests, lends their payloads, answers them.
//!
//! The worker trusts its parent but not its own memory, which the jobs share: positions are kept privately, and a word
//! that differs from them means that something has written over the link. Such a worker ends itself ([`Corrupt`]), since
//! going on could run a job twice.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::bell::{self, Patience};
use super::claim;
use super::layout::Layout;
use super::memory::{Memory, SharedMemory};
use super::requests::Request;
use super::responses::{Frame, HEADER, Kind, Writer};
use super::segment::{Incoming, Outgoing};
use super::sync::Ordering;
use super::talk::{self, Marks, Progress};
use crate::sys::{Socket, fault_point, has_several_cpus, monotonic_nanos};

/// The link does not hold what both sides put there.
#[derive(Debug)]
pub(crate) struct Corrupt(pub(crate) String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct WorkerEnd {
    pub(super) memory: Arc<SharedMemory>,
    layout: Layout,
    socket: Socket,
    /// Where there is one CPU only, nobody can bring work while this process looks for it.
    patience: Option<Patience>,
    /// When the last job ended, and the next one begins if that is there already; 0 if the clock has to be read.
    pub(super) clock: u64,
    /// At which tick of the clock its size was last looked at.
    pub(super) measured: u64,
    /// The number of the next request to claim.
    next: u32,
    incoming: Incoming,
    writer: Writer,
    outgoing: Outgoing,
}

impl WorkerEnd {
    /// Takes the worker's end from the descriptors that the parent sent: requests, responses, its end of the doorbell.
    pub(crate) fn open(socket: Socket, requests: OwnedFd, responses: OwnedFd, ringer: OwnedFd) -> io::Result<Self> {
        let layout = Layout::STANDARD;
        Ok(Self {
            memory: Arc::new(SharedMemory::open(requests, responses, ringer, &layout)?),
            layout,
            socket,
            patience: has_several_cpus().then(Patience::default),
            clock: 0,
            measured: 0,
            next: 0,
            incoming: Incoming::default(),
            writer: Writer::default(),
            outgoing: Outgoing::default(),
        })
    }

    /// Waits for the next request and claims it; `None` when the parent has said stop.
    pub(crate) fn claim(&mut self) -> Result<Option<Request>, Corrupt> {
        loop {
            let word = &self.memory.worker_page().claim.0;
            let taken = claim::take(word, self.next)
                .map_err(|seen| Corrupt(format!("the claim word reads {} where {} was claimed", seen.claimed, self.next)))?;
            if taken {
                break;
            }
            let stop = || self.memory.parent_page().stop.0.load(Ordering::Relaxed) != 0;
            if stop() {
                fault_point("stopping");
                return Ok(None);
            }
            let ready = || {
                let claim = claim::read(word);
                claim.claimed != self.next || claim.waiting() > 0 || stop()
            };
            bell::wait(&*self.memory, self.patience.as_mut(), bell::ASLEEP, ready);
            self.clock = 0;
        }
        if self.clock == 0 {
            self.clock = monotonic_nanos();
        }
        self.memory.worker_page().started.0.store(self.clock, Ordering::Relaxed);
        let request = Request::read(self.next, &*self.memory, &self.layout);
        if request.seq != self.next {
            return Err(Corrupt(format!("request {} stands where {} was claimed", request.seq, self.next)));
        }
        self.next = self.next.wrapping_add(1);
        fault_point("claimed");
        Ok(Some(request))
    }

    /// The payload of a claimed request, in place, and the way to answer it.
    pub(crate) fn open_request(&mut self, request: &Request) -> io::Result<(&[u8], Answer<'_>)> {
        let len = usize::try_from(request.len).map_err(io::Error::other)?;
        let payload = if request.segment == 0 {
            self.memory.view_request(usize::try_from(request.at).map_err(io::Error::other)?, len)
        } else {
            self.incoming.get(&self.socket, request.segment, len, false)?.view(0, len)
        };
        let answer = Answer {
            memory: &self.memory,
            layout: &self.layout,
            socket: &self.socket,
            writer: &mut self.writer,
            outgoing: &mut self.outgoing,
            patience: self.patience.as_mut(),
            started: self.clock,
            clock: &mut self.clock,
            seq: request.seq,
        };
        Ok((payload, answer))
    }

    /// Where jobs hear and say what is between the two processes while they run.
    pub(crate) fn desk(&self) -> Desk {
        Desk(Arc::clone(&self.memory))
    }

    /// Gives up what `open_request` mapped.
    pub(crate) fn close_request(&mut self, request: &Request) {
        if request.segment != 0 {
            self.incoming.release(request.segment);
        }
    }
}

/// Answers one request.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(super) memory: &'a SharedMemory,
    pub(super) layout: &'a Layout,
    socket: &'a Socket,
    pub(super) writer: &'a mut Writer,
    outgoing: &'a mut Outgoing,
    patience: Option<&'a mut Patience>,
    pub(super) started: u64,
    pub(super) clock: &'a mut u64,
    pub(super) seq: u32,
}

impl<'a> Answer<'a> {
    /// Where to note what is being done with the request.
    pub(crate) fn notes(&self) -> Notes<'a> {
        Notes(self.memory)
    }

    /// The nanoseconds since the job began; it ends with this reading of the clock.
    pub(crate) fn elapsed(&mut self) -> u64 {
        *self.clock = monotonic_nanos();
        self.clock.saturating_sub(self.started)
    }

    /// Sends the answer; waits while the parent has not taken earlier ones.
    ///
    /// # Errors
    /// When a large payload cannot be put into shared memory. Nothing was sent then.
    pub(crate) fn send(&mut self, kind: Kind, ran: u64, payload: &[u8]) -> io::Result<()> {
        let large = self.is_large(payload);
        let segment = if large { self.put_aside(payload)? } else { 0 };
        let inline = if large { &[] } else { payload };
        self.wait_for_room(HEADER + inline.len());
        let frame = Frame { seq: self.seq, kind, segment, len: payload.len() as u64, ran };
        self.writer.put(self.memory, self.layout, frame, inline);
        Ok(())
    }

    /// Whether a payload does not travel in the ring.
    pub(super) fn is_large(&self, payload: &[u8]) -> bool {
        payload.len() > self.layout.inline_limit()
    }

    /// Puts a large payload into a segment, which is then to be announced by a frame: the segment's number.
    pub(super) fn put_aside(&mut self, payload: &[u8]) -> io::Result<u32> {
        self.writer.wait(self.memory, self.patience.as_deref_mut(), |_| self.outgoing.is_ready(self.memory));
        let segment = self.outgoing.put(self.memory, self.socket, payload)?;
        fault_point("segment-sent");
        *self.clock = 0;
        Ok(segment)
    }

    /// Waits until a frame of `size` bytes fits.
    pub(super) fn wait_for_room(&mut self, size: usize) {
        if !self.writer.is_known_to_fit(self.layout, size) {
            self.writer.wait(self.memory, self.patience.as_deref_mut(), |writer| writer.fits(self.memory, self.layout, size));
            self.writer.note_room(self.memory);
            // The next job did not begin when this one ended.
            *self.clock = 0;
        }
    }
}

/// What a running job hears of the parent and tells it, from whatever thread: see `talk.rs`.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<SharedMemory>);

impl Desk {
    /// Whether request `number` is asked to end, and why; 0 for no.
    pub(crate) fn notice(&self, number: u32) -> u32 {
        talk::notice(&*self.0, number)
    }

    /// Request `number` begins, with such a reading of the worker's CPU clock.
    pub(crate) fn begin(&self, number: u32, cpu: u64) {
        let started = self.0.worker_page().started.0.load(Ordering::Relaxed);
        self.0.worker_page().marks.0.begin(number, Marks { started, cpu });
    }

    /// Since when the limit of request `number` is counted, which has a note: since its start, or its last word.
    pub(crate) fn since(&self, number: u32) -> Option<u64> {
        let page = self.0.worker_page();
        let told = page.progress.0.of(number).map(|progress| progress.at);
        told.or_else(|| page.marks.0.of(number).map(|marks| marks.started))
    }

    /// Request `number` has come so far.
    pub(crate) fn tell(&self, number: u32, done: u64, total: u64) {
        self.0.worker_page().progress.0.tell(number, Progress { at: monotonic_nanos(), done, total });
    }
}

/// A worker's notes about its claimed job, for the report if it dies now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notes<'a>(&'a SharedMemory);

impl Notes<'_> {
    /// Says what is being done.
    pub(crate) fn phase(self, phase: u32) {
        self.0.worker_page().phase.0.store(phase, Ordering::Relaxed);
    }
}
