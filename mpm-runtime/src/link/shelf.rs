//! The parent's segments, which belong to the pool: large arguments are copied into one by the thread that submits them, under
//! no lock and before anybody knows which worker will have the job.
//!
//! | a segment is | then it is | left by |
//! |---|---|---|
//! | new, or never told of | without a home, with its descriptor | `Homes::announce`: some worker is its home |
//! | at home with a worker | of use for that worker alone, by its number; the descriptor is closed | the worker's end, or another segment in its place |
//!
//! A worker keeps its mapping of a segment, and could read what lies there later. So a segment never goes to a second worker, and
//! arguments are put into one that is at home with the worker that would get the job now. Where another gets it in the end, they
//! are copied once more: as with requests that are taken back, the first one might have read them, and nobody else.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bytes::Bytes;
use super::homes::{Home, Homes, Worker};
use super::segment::{self, KEEP, SLOTS};
use crate::sys::{Mapping, Private};

/// A segment of the parent's.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(super) mapping: Mapping,
    /// Until a worker has it.
    pub(super) memfd: Option<Private>,
    pub(super) home: Option<Arc<Home>>,
}

impl Segment {
    fn make(len: usize) -> io::Result<Self> {
        let (memfd, mapping) = segment::make(len)?;
        Ok(Self { mapping, memfd: Some(Private::from(std::os::fd::OwnedFd::from(memfd))), home: None })
    }

    /// Whether nobody can use it any more.
    fn is_lost(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.is_lost())
    }
}

/// The encoded arguments of a job.
#[derive(Debug)]
pub(crate) enum Payload {
    Bytes(Bytes),
    Large(Box<Large>),
}

impl Payload {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Large(large) => large.len,
        }
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Large(large) => large.bytes().to_vec(),
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Bytes(Bytes::default())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

const THERE: &str = "it is taken out by the drop alone";

/// Arguments that lie in a segment, which goes back to the shelf when this is dropped.
#[derive(Debug)]
pub(crate) struct Large {
    /// Taken out by the drop alone.
    segment: Option<Segment>,
    len: usize,
    /// A worker has answered the job: it has let go of a segment that is not kept.
    answered: bool,
    shelf: Arc<Shelf>,
}

impl Large {
    pub(super) fn segment(&self) -> &Segment {
        // Cannot fail: the drop alone takes it out.
        self.segment.as_ref().expect(THERE)
    }

    pub(super) fn segment_mut(&mut self) -> &mut Segment {
        // Cannot fail: the drop alone takes it out.
        self.segment.as_mut().expect(THERE)
    }

    /// The bytes, which nobody else can write to.
    pub(super) fn bytes(&self) -> &[u8] {
        self.segment().mapping.view(0, self.len)
    }

    pub(super) fn write(&self, at: usize, bytes: &[u8]) {
        self.segment().mapping.write(at, bytes);
    }

    /// The worker has answered.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        // In a copy of the process that was made by fork the lock may be held for ever.
        if let Some(segment) = self.segment.take().filter(|segment| segment.mapping.is_here()) {
            self.shelf.put_back(segment, self.answered);
        }
    }
}

/// The free segments of a pool, and the count of those that are not.
#[derive(Debug)]
pub(crate) struct Shelf {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The last used one last.
    free: Vec<Segment>,
    out: usize,
    /// How many segments there are at most, unless a worker could not go on without one more.
    most: usize,
    /// How many bytes are kept free at most.
    keep: usize,
}

/// Which segments are of use.
pub(super) enum Wanted<'a> {
    /// One at home here, or without a home.
    Home(&'a Homes),
    /// One at home with this worker, if there is one, or without a home.
    For(Option<&'a Worker>),
}

impl Wanted<'_> {
    /// The lower the better; `None` for those that are of no use.
    fn rank(&self, segment: &Segment) -> Option<u8> {
        let Some(home) = &segment.home else { return Some(1) };
        let is_there = match self {
            Self::Home(homes) => homes.has(home),
            Self::For(worker) => worker.is_some_and(|worker| home.is_with(worker)),
        };
        is_there.then_some(0)
    }
}

impl Shelf {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        let shelf = Self { inner: Mutex::default() };
        shelf.set_workers(workers);
        Arc::new(shelf)
    }

    /// Sets how many workers there are at most.
    pub(crate) fn set_workers(&self, workers: usize) {
        let mut inner = self.lock();
        (inner.most, inner.keep) = (workers.saturating_mul(SLOTS).min(64), KEEP.saturating_mul(workers));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment for `len` bytes. `None` if there are too many already.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(super) fn take(self: &Arc<Self>, len: usize, wanted: &Wanted<'_>, beyond: bool) -> io::Result<Option<Large>> {
        let mut inner = self.lock();
        let fitting = inner.free.iter().enumerate().rev().filter(|(_, segment)| segment.mapping.len() >= len);
        let best = fitting.filter_map(|(at, segment)| Some((wanted.rank(segment)?, at))).min_by_key(|(rank, _)| *rank);
        let mut given_up = None;
        let known = best.map(|(_, at)| inner.free.remove(at));
        if known.is_none() && inner.free.len() + inner.out >= inner.most {
            if inner.free.is_empty() {
                if !beyond {
                    return Ok(None);
                }
            } else {
                given_up = Some(inner.free.remove(0));
            }
        }
        inner.out += 1;
        drop(inner);
        drop(given_up);
        let made = match known {
            Some(segment) => Ok(segment),
            None => Segment::make(len),
        };
        match made {
            Ok(segment) => Ok(Some(Large { segment: Some(segment), len, answered: false, shelf: Arc::clone(self) })),
            Err(error) => {
                self.lock().out -= 1;
                Err(error)
            }
        }
    }

    /// Puts `len` encoded bytes into a segment, for the worker that is likely to get the job. `None` if that is not possible now: then
    /// they stay on the heap until a worker has room.
    pub(crate) fn pack<'p>(
        self: &Arc<Self>,
        worker: Option<&Worker>,
        len: usize,
        pieces: impl Iterator<Item = &'p [u8]>,
    ) -> Option<Payload> {
        let large = self.take(len, &Wanted::For(worker), false).ok().flatten()?;
        let mut at = 0;
        for piece in pieces {
            large.write(at, piece);
            at += piece.len();
        }
        Some(Payload::Large(Box::new(large)))
    }

    fn put_back(&self, segment: Segment, answered: bool) {
        let mut given_up = Vec::new();
        let mut inner = self.lock();
        inner.out -= 1;
        // A large one that its worker was told of, and has not looked at, stays: its descriptor is on its way, and the next of its
        // size shall not be one more.
        let is_large = segment.mapping.len() > KEEP;
        if segment.is_lost() || (is_large && (answered || segment.home.is_none())) {
            given_up.push(segment);
        } else {
            inner.free.push(segment);
        }
        while inner.free.len() > 1 && inner.free.iter().map(|segment| segment.mapping.len()).sum::<usize>() > inner.keep {
            given_up.push(inner.free.remove(0));
        }
        drop(inner);
    }

    /// Gives up the free segment of a worker that was not used for longest; whether there was one.
    pub(super) fn give_up_one_of(&self, homes: &Homes) -> bool {
        let mut inner = self.lock();
        let at = inner.free.iter().position(|segment| segment.home.as_ref().is_some_and(|home| homes.has(home)));
        let given_up = at.map(|at| inner.free.remove(at));
        drop(inner);
        given_up.is_some()
    }

    /// Gives up all free segments: there will be no more jobs.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut self.lock().free);
        drop(all);
    }

    /// Gives up the segments of workers that are gone.
    pub(crate) fn forget_lost(&self) {
        let lost: Vec<_> = self.lock().free.extract_if(.., |segment| segment.is_lost()).collect();
        drop(lost);
    }
}
