//! What waits for a time: jobs that are to be tried again, and jobs that expire.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::cell::{Cell, Place};
use super::core::Core;
use super::member::Waiting;
use crate::error::JobError;

/// Something with its time, and its number among all that came. Ordered by both.
#[derive(Debug)]
struct Timed<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Timed<T> {}

impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Timed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Things that wait for their time.
#[derive(Debug)]
pub(super) struct Later<T> {
    heap: BinaryHeap<Reverse<Timed<T>>>,
    count: u64,
    /// When there are so many, those are forgotten that nobody has any more.
    most: usize,
}

/// So many are not looked at.
const SOME: usize = 256;

impl<T> Default for Later<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), count: 0, most: SOME }
    }
}

impl<T> Later<T> {
    fn push(&mut self, at: Instant, what: T) {
        self.count += 1;
        self.heap.push(Reverse(Timed { at, number: self.count, what }));
    }

    /// When the first one is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(timed)| timed.at)
    }

    fn pop_due(&mut self, now: Instant) -> Option<T> {
        self.first().filter(|at| *at <= now)?;
        self.heap.pop().map(|Reverse(timed)| timed.what)
    }

    /// Those that are here.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|Reverse(timed)| &timed.what)
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        std::mem::take(&mut self.heap).into_iter().map(|Reverse(timed)| timed.what).collect()
    }
}

impl Later<Weak<Cell>> {
    /// The next one that is due, of those that have not ended. Nobody waits for the time of a first one that has.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Arc<Cell>> {
        while let Some(Reverse(first)) = self.heap.peek() {
            let alive = first.what.upgrade().filter(|cell| !cell.is_finished());
            if alive.is_some() && first.at > now {
                return None;
            }
            self.heap.pop();
            if alive.is_some() {
                return alive;
            }
        }
        None
    }
}

impl Core {
    /// Has a job wait for its next try. It counts as one that waits.
    pub(super) fn try_later(&mut self, at: Instant, job: Waiting) {
        job.cell.set_place(Place::Queue);
        if let Some(limit) = self.lanes.as_mut().and_then(|lanes| lanes.limit_of_mut(job.target)) {
            limit.release(&job.cell);
        }
        self.waiting += 1;
        self.later.push(at, job);
        self.note_due(at);
    }

    /// Has a job end at that time, if no worker has started it by then.
    pub(super) fn expire_at(&mut self, at: Instant, cell: &Arc<Cell>) {
        if self.expiries.heap.len() >= self.expiries.most {
            self.expiries.heap.retain(|Reverse(timed)| timed.what.strong_count() > 0);
            self.expiries.most = (2 * self.expiries.heap.len()).max(SOME);
        }
        self.expiries.push(at, Arc::downgrade(cell));
        self.note_due(at);
    }

    /// Puts the jobs whose time has come into the queue, as the next ones.
    pub(super) fn take_up_later(&mut self, now: Instant) {
        let due: Vec<_> = std::iter::from_fn(|| self.later.pop_due(now)).collect();
        // One that was cancelled meanwhile is not counted any more.
        let due: Vec<_> = due.into_iter().filter(|job| job.cell.place() != Place::Dead).collect();
        for job in due.into_iter().rev() {
            match self.failed.clone() {
                Some(reason) => {
                    self.waiting -= 1;
                    self.give_up(job.cell, JobError::PoolFailed(reason));
                }
                None => self.put(job, false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_waits_comes_in_the_order_of_its_times_and_then_of_its_coming() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut later = Later::default();
        for (ms, name) in [(5, "c"), (1, "a"), (5, "d"), (3, "b"), (9, "e")] {
            later.push(at(ms), name);
        }
        assert_eq!(later.first(), Some(at(1)));
        let due: String = std::iter::from_fn(|| later.pop_due(at(5))).collect();
        assert_eq!((due.as_str(), later.first()), ("abcd", Some(at(9))));
        assert_eq!((later.take_all(), later.first()), (vec!["e"], None));
    }
}
