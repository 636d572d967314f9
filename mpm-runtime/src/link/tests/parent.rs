//! A parent's end with a shelf of its own, for tests: bytes go in and come out.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::link::memory::LinkFds;
use crate::link::responses::Frame;
use crate::link::{Bytes, Head, NoRoom, ParentEnd, Payload, Shelf, TakenBack, WorkerEnd};
use crate::sys::{Doorbell, Socket};

pub(super) struct Parent {
    pub(super) end: ParentEnd,
    pub(super) shelf: Arc<Shelf>,
}

impl Parent {
    pub(super) fn create(shelf: &Arc<Shelf>) -> (Self, LinkFds, Socket) {
        let (end, fds, socket) = ParentEnd::create().unwrap();
        (Self { end, shelf: Arc::clone(shelf) }, fds, socket.into())
    }

    /// Writes one request and publishes it.
    pub(super) fn push(&mut self, target: u32, job: u64, attempt: u16, bytes: &[u8]) -> Result<u32, NoRoom> {
        let number = self.write(target, job, attempt, bytes)?;
        self.publish().unwrap();
        Ok(number)
    }

    pub(super) fn write(&mut self, target: u32, job: u64, attempt: u16, bytes: &[u8]) -> Result<u32, NoRoom> {
        self.end.push(&self.shelf, Head { target, job, attempt, note: 0 }, &mut Bytes::from(bytes.to_vec()).into())
    }

    /// As a pool does it, which fills a segment first.
    pub(super) fn push_packed(&mut self, job: u64, payload: &mut Payload) -> Result<u32, NoRoom> {
        let number = self.end.push(&self.shelf, Head { job, attempt: 1, ..Head::default() }, payload)?;
        self.publish().unwrap();
        Ok(number)
    }

    /// What a pool makes of large arguments.
    pub(super) fn pack(&self, bytes: &[u8]) -> Payload {
        self.shelf.pack(Some(&self.end.worker()), bytes.len(), [bytes].into_iter()).unwrap()
    }

    /// The next response, of a worker that does nothing wrong.
    pub(super) fn next(&mut self) -> Option<(Frame, Bytes)> {
        let (frame, payload) = self.end.next_response().unwrap()?;
        Some((frame, payload.unwrap().into_bytes().unwrap()))
    }
}

impl Deref for Parent {
    type Target = ParentEnd;

    fn deref(&self) -> &ParentEnd {
        &self.end
    }
}

impl DerefMut for Parent {
    fn deref_mut(&mut self) -> &mut ParentEnd {
        &mut self.end
    }
}

/// The bytes of what was taken back.
pub(super) fn whole(taken: Vec<TakenBack>) -> Vec<(u64, Vec<u8>)> {
    taken.into_iter().map(|(job, payload)| (job, payload.to_vec())).collect()
}

/// A link whose segments come from `shelf`: both ends, and the doorbell, which must outlive them.
pub(super) fn link_on(shelf: &Arc<Shelf>) -> (Parent, WorkerEnd, Doorbell) {
    let (parent, fds, socket) = Parent::create(shelf);
    let [requests, responses] = fds.as_fds().map(|fd| fd.try_clone_to_owned().unwrap());
    let doorbell = Doorbell::new().unwrap();
    let ringer = doorbell.ringer().try_clone_to_owned().unwrap();
    (parent, WorkerEnd::open(socket, requests, responses, ringer).unwrap(), doorbell)
}

/// A link by itself.
pub(super) fn link() -> (Parent, WorkerEnd, Doorbell) {
    link_on(&Shelf::new(1))
}

/// For tests that use segments, since some count those of the whole process: one after the other.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
