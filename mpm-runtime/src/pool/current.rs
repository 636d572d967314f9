//! The chunk of which `map` gives outcomes just now: taken many at a time, decoded one by one, without a lock.

use std::sync::Arc;

use super::answer::lost_answer;
use super::cell::{Cell, Raw};
use super::chunk::Outcomes;
use crate::codec::decode_caught;
use crate::error::{DataError, JobError};
use crate::link::ItemFrame;
use crate::registry::Target;

/// A chunk of which outcomes are being given.
pub(super) struct Current {
    pub(super) cell: Arc<Cell>,
    /// Outcomes that were taken from it, from `at` on.
    pub(super) taken: Outcomes,
    at: usize,
    /// The id of the next job.
    id: u64,
    /// Nothing more is to be taken from it.
    pub(super) is_done: bool,
}

impl Current {
    pub(super) fn new(cell: Arc<Cell>, mut taken: Outcomes) -> Self {
        taken.clear();
        let id = cell.id();
        Self { cell, taken, at: 0, id, is_done: false }
    }

    /// The outcomes that were taken were put into `taken` just now.
    pub(super) fn begin(&mut self) {
        self.at = 0;
    }

    /// The next outcome of those that were taken.
    #[inline]
    pub(super) fn next<F: Target>(&mut self) -> Option<Result<F::Output, JobError>> {
        let (frame, payload) = ItemFrame::first_of(self.taken.frames.get(self.at..)?)?;
        self.at += frame.size();
        let id = self.id;
        self.id += 1;
        if !frame.is_large {
            return Some(decode_caught(F::decode_output, payload.into()).map_err(|reason| undecoded(&self.cell, id, reason)));
        }
        Some(match self.taken.aside.pop_front()? {
            Raw::Value(value) => {
                let len = value.len() as u64;
                let bytes = value.into_bytes().map_err(|error| lost_answer(len, &error));
                let decoded = bytes.and_then(|bytes| bytes.give(|bytes| decode_caught(F::decode_output, bytes)));
                decoded.map_err(|reason| undecoded(&self.cell, id, reason))
            }
            Raw::Failed(error) => Err(error),
        })
    }
}

#[cold]
fn undecoded(cell: &Cell, job: u64, reason: String) -> JobError {
    JobError::Decode(Box::new(DataError { job, target: cell.target, reason, in_worker: false }))
}
