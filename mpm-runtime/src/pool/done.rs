//! The end of a job whose callbacks are to be called: the outcome that they get, beside the one that is the handle's.

use std::sync::Arc;

use super::answer::lost_answer;
use super::cell::{Cell, Raw};
use super::handle::report;
use crate::error::{DataError, JobError};
use crate::link::{Bytes, Received};
use crate::registry::Encoded;

/// Calls what is to be called with the outcome of a job that has ended; `name` tells its worker's.
pub(super) fn call(mut cell: Arc<Cell>, name: impl FnOnce(u32) -> String) {
    let thens = cell.on_done().map(crate::registry::OnDone::take).unwrap_or_default();
    let is_alone = Arc::get_mut(&mut cell).is_some();
    let Some(outcome) = cell.take_for_callbacks(is_alone) else { return };
    let report = report(&cell, cell.facts(), name);
    let encoded = match outcome {
        Raw::Failed(error) => Err(error),
        Raw::Value(value) => {
            let len = value.len() as u64;
            value.into_bytes().map(Bytes::into_vec).map_err(|error| not_copied(&cell, len, &error))
        }
    };
    // Nothing is kept meanwhile that nobody waits for.
    drop(cell);
    let last = thens.len().saturating_sub(1);
    let mut encoded = Some(encoded);
    for (index, then) in thens.into_iter().enumerate() {
        let mine: Option<Encoded> = if index == last { encoded.take() } else { encoded.clone() };
        if let Some(mine) = mine {
            let report = report.clone();
            super::calls::guarded(move || then(mine, report));
        }
    }
}

/// The outcome of a job whose value this process has no memory to copy.
pub(super) fn not_copied(cell: &Cell, len: u64, error: &std::io::Error) -> JobError {
    let reason = lost_answer(len, error);
    JobError::Decode(Box::new(DataError { job: cell.id(), target: cell.target, reason, in_worker: false }))
}

impl Raw {
    /// A second one. An outcome that this process has no memory to copy counts as one that cannot be decoded.
    pub(super) fn copy(&self, cell: &Cell) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Value(value) => match value.copy() {
                Ok(bytes) => Self::Value(Received::Bytes(bytes)),
                Err(error) => Self::Failed(not_copied(cell, value.len() as u64, &error)),
            },
        }
    }
}
