//! Several jobs under one cell, as `map` makes them of short ones: their outcomes come in one after the other and are taken
//! many at a time.
//!
//! A chunk can be divided: what was taken back from a worker becomes a cell of its own, the rest of the first one, which comes
//! after it in the order of the inputs.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::cell::{Cell, Raw};
use super::watcher::Tell;
use crate::error::JobError;
use crate::link::{ItemFrame, Kind};

/// The outcomes of several jobs.
#[derive(Debug)]
pub(super) struct Chunk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// How many jobs it has; fewer after it was divided.
    pub(super) jobs: u32,
    /// How many of them have ended.
    pub(super) ended: u32,
    /// Outcomes that were not taken yet.
    pub(super) outcomes: Outcomes,
    /// What was divided from it last.
    rest: Option<Arc<Cell>>,
}

/// Outcomes of jobs in a row.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// A frame for each, with the result where that is a value (see [`ItemFrame`]).
    pub(super) frames: Vec<u8>,
    /// The outcomes for which a frame has no place: those of other kinds, and large values.
    pub(super) aside: VecDeque<Raw>,
    /// Nanoseconds that those jobs ran together that have answered, and how many those are.
    pub(super) ran: u64,
    pub(super) answers: u64,
}

/// A frame that stands for an outcome aside.
const ASIDE: ItemFrame = ItemFrame { kind: Kind::Value, is_large: true, len: 0, ran: 0 };

impl Outcomes {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets them all, but keeps their memory.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.aside.clear();
        (self.ran, self.answers) = (0, 0);
    }

    /// Nanoseconds that those jobs ran together that have answered, and how many those are.
    pub(super) fn times(&self) -> (u64, u64) {
        (self.ran, self.answers)
    }

    pub(super) fn push_aside(&mut self, outcome: Raw) {
        self.frames.extend_from_slice(&ASIDE.pack().to_le_bytes());
        self.aside.push_back(outcome);
    }
}

impl Chunk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds outcomes of its next jobs, from the one of the id on that `add` gets; that returns how many. Whom to tell.
    pub(super) fn add(&self, cell: &Arc<Cell>, add: impl FnOnce(&mut Outcomes, u64) -> u32) -> Option<Tell> {
        let mut state = self.lock();
        let first = cell.id() + u64::from(state.ended);
        let count = add(&mut state.outcomes, first);
        state.ended += count;
        if count == 0 { None } else { cell.announce() }
    }

    /// All its jobs that have not ended end with this outcome, which is an error.
    pub(super) fn end_all(&self, cell: &Arc<Cell>, outcome: Raw) -> Option<Tell> {
        let Raw::Failed(error) = outcome else { return None };
        let mut state = self.lock();
        let ids = (state.ended..state.jobs).map(|index| cell.id() + u64::from(index));
        let errors: Vec<JobError> = ids.map(|id| error.clone().of_job(id)).collect();
        errors.into_iter().for_each(|error| state.outcomes.push_aside(Raw::Failed(error)));
        state.ended = state.jobs;
        cell.announce()
    }

    /// How many jobs have not ended.
    pub(super) fn left(&self) -> u32 {
        let state = self.lock();
        state.jobs - state.ended
    }

    /// How many have.
    pub(super) fn ended(&self) -> u32 {
        self.lock().ended
    }

    /// Divides it: the jobs from the `keep`-th on get a cell of their own, which is returned. It is in nobody's hands. And whom to tell, since
    /// those before it may all have ended.
    pub(super) fn divide(&self, cell: &Arc<Cell>, keep: u32) -> Option<(Arc<Cell>, Option<Tell>)> {
        let mut state = self.lock();
        let count = state.jobs.checked_sub(keep).filter(|count| *count > 0)?;
        let mut rest = Cell::of_jobs(cell.target, count, cell.submitted, Outcomes::default());
        rest.set_id(cell.id() + u64::from(keep));
        // Between this cell and what was divided from it before.
        if let Some(chunk) = &mut rest.chunk {
            chunk.state.get_mut().unwrap_or_else(PoisonError::into_inner).rest = state.rest.take();
        }
        let rest = Arc::new(rest);
        state.jobs = keep;
        state.rest = Some(Arc::clone(&rest));
        let tell = if state.ended == keep { cell.announce() } else { None };
        Some((rest, tell))
    }

    /// Takes the outcomes that are there; `spare`, which is empty, takes their place. Whether all its jobs have ended.
    pub(super) fn take(&self, cell: &Cell, spare: &mut Outcomes) -> bool {
        let mut state = self.lock();
        std::mem::swap(&mut state.outcomes, spare);
        let is_done = state.ended == state.jobs;
        if !is_done {
            cell.reopen();
        }
        is_done
    }

    /// What comes after it.
    pub(super) fn rest(&self) -> Option<Arc<Cell>> {
        self.lock().rest.clone()
    }
}

impl Cell {
    /// A cell of several jobs, submitted at that time; `spare` is memory for their outcomes.
    pub(super) fn of_jobs(target: &'static str, jobs: u32, submitted: Instant, spare: Outcomes) -> Self {
        let state = State { jobs, outcomes: spare, ..State::default() };
        let mut cell = Self::new(target, None);
        (cell.submitted, cell.chunk) = (submitted, Some(Box::new(Chunk { state: Mutex::new(state) })));
        cell
    }

    /// The ids of its jobs that have not ended.
    pub(super) fn open_ids(&self) -> Range<u64> {
        let (first, end) = match &self.chunk {
            Some(chunk) => {
                let state = chunk.lock();
                (state.ended, state.jobs)
            }
            None => (u32::from(self.is_finished()), 1),
        };
        self.id() + u64::from(first)..self.id() + u64::from(end)
    }

    /// How many jobs it is of that have not ended, but for one.
    pub(super) fn more(&self) -> usize {
        self.chunk.as_ref().map_or(0, |chunk| chunk.left().saturating_sub(1) as usize)
    }
}
