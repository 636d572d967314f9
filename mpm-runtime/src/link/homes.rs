//! Which of the pool's segments are at home with one worker: the parent's account of what that worker keeps mapped.

use std::io;
use std::sync::{Arc, Weak};

use super::segment::{self, KEEP, SLOTS, number_after, slot_of};
use super::shelf::{Payload, Segment, Shelf, Wanted};
use crate::sys::Socket;

/// What the worker was told of one segment. As long as this lives, it may be named to that worker.
#[derive(Debug)]
pub(crate) struct Home {
    number: u32,
    capacity: usize,
    worker: Worker,
}

/// A worker, for as long as it lives.
#[derive(Clone, Debug)]
pub(crate) struct Worker(Weak<()>);

impl Home {
    /// Whether the worker is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.worker.0.strong_count() == 0
    }

    pub(super) fn is_with(&self, worker: &Worker) -> bool {
        Weak::ptr_eq(&self.worker.0, &worker.0)
    }
}

/// The homes of one worker's segments.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// The worker, for its segments that lie about.
    worker: Arc<()>,
    /// The last number in each place, and its home if that is there still.
    slots: [(u32, Weak<Home>); SLOTS],
}

impl Homes {
    pub(super) fn worker(&self) -> Worker {
        Worker(Arc::downgrade(&self.worker))
    }

    pub(super) fn has(&self, home: &Arc<Home>) -> bool {
        Weak::ptr_eq(&self.slots[slot_of(home.number)].1, &Arc::downgrade(home))
    }

    /// Sees to it that `payload` lies in a segment at home here, and returns its number. `None` if this has to wait for a
    /// response: then the worker is `busy` with a segment.
    ///
    /// # Errors
    /// When a segment cannot be made, or the worker not be told of it.
    pub(super) fn settle(
        &mut self,
        shelf: &Arc<Shelf>,
        socket: &Socket,
        payload: &mut Payload,
        busy: bool,
    ) -> io::Result<Option<u32>> {
        if !self.suits(payload) {
            let Some(large) = shelf.take(payload.len(), &Wanted::Home(self), !busy)? else { return Ok(None) };
            match payload {
                Payload::Bytes(bytes) => large.write(0, bytes),
                Payload::Large(elsewhere) => large.write(0, elsewhere.bytes()),
            }
            *payload = Payload::Large(Box::new(large));
        }
        let Payload::Large(large) = payload else { return Ok(None) };
        match &large.segment().home {
            Some(home) => Ok(Some(home.number)),
            None => self.announce(shelf, socket, large.segment_mut(), busy),
        }
    }

    fn suits(&self, payload: &Payload) -> bool {
        match payload {
            Payload::Bytes(_) => false,
            Payload::Large(large) => large.segment().home.as_ref().is_none_or(|home| self.has(home)),
        }
    }

    /// Bytes of all segments that are at home here.
    fn capacity(&self) -> usize {
        self.slots.iter().filter_map(|(_, home)| home.upgrade()).map(|home| home.capacity).sum()
    }

    fn announce(&mut self, shelf: &Shelf, socket: &Socket, segment: &mut Segment, busy: bool) -> io::Result<Option<u32>> {
        let capacity = segment.mapping.len();
        while self.capacity() + capacity > KEEP && shelf.give_up_one_of(self) {}
        if busy && self.capacity() + capacity > KEEP {
            return Ok(None);
        }
        let is_empty = |slot: &usize| self.slots[*slot].1.strong_count() == 0;
        let empty = (0..SLOTS).find(is_empty).or_else(|| shelf.give_up_one_of(self).then(|| (0..SLOTS).find(is_empty))?);
        let slot = match empty {
            Some(slot) => slot,
            None if busy => return Ok(None),
            // All of them hold arguments of jobs that wait, and will be copied to another one then.
            None => 0,
        };
        let number = number_after(self.slots[slot].0, slot);
        let memfd = segment.memfd.take().ok_or_else(|| io::Error::other("the segment has no descriptor"))?;
        if let Err(error) = segment::announce(socket, number, capacity, &memfd) {
            segment.memfd = Some(memfd);
            return Err(error);
        }
        let home = Arc::new(Home { number, capacity, worker: self.worker() });
        self.slots[slot] = (number, Arc::downgrade(&home));
        segment.home = Some(home);
        Ok(Some(number))
    }
}
