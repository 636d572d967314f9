//! The `on_stop` jobs of a pool as its parent knows them: what becomes of their results, on the thread for callbacks.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::events::EventKind;
use crate::codec::{NoValue, Panic, decode_caught, panic_message};
use crate::error::{DataError, Death, JobError, Panicked};
use crate::registry::{Encoded, Target};
use crate::start::Parcel;

/// Who takes the result of one `on_stop` job, with the worker's name: whether the job went well, as far as he knows.
type Take = Arc<dyn Fn(&str, Encoded) -> Result<(), String> + Send + Sync>;

/// One `on_stop` job.
#[derive(Clone)]
pub(super) struct StopTaker {
    pub(super) target: &'static str,
    /// Somebody asked for the results themselves.
    pub(super) wants_result: bool,
    pub(super) take: Take,
}

/// All of a pool, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct StopTakers(pub(super) Vec<StopTaker>);

/// How an `on_stop` job ended in one worker.
#[derive(Debug)]
pub(super) struct StopOutcome {
    pub(super) worker: Arc<str>,
    pub(super) pid: u32,
    pub(super) index: usize,
    pub(super) how: HowItWent,
}

#[derive(Debug)]
pub(super) enum HowItWent {
    /// As the worker says: a value, or why there is none; with the memory in which it lies.
    Told { has_value: bool, parcel: Parcel, memory: VecDeque<OwnedFd> },
    /// It has told, and this process could not take that over.
    Lost(String),
    /// The worker died of it, or had to be killed.
    Died(Box<Death>),
}

impl StopTakers {
    /// Hands the outcome to whoever takes it; what is to be told of it.
    pub(super) fn take(&self, outcome: StopOutcome) -> EventKind {
        let StopOutcome { worker, pid, index, how } = outcome;
        // There is none only where a worker said what is no worker's to say.
        let target = self.0.get(index).map(|taker| taker.target).unwrap_or_default();
        let encoded = encoded(&worker, pid, target, how);
        let told = match self.0.get(index) {
            Some(taker) => catch_unwind(AssertUnwindSafe(|| (taker.take)(&worker, encoded))).unwrap_or_else(|payload| {
                let text = format!("taking its result panicked: {}", panic_message(&*payload));
                // Its drop may panic once more.
                std::mem::forget(payload);
                Err(text)
            }),
            None => Err("there is no such job".to_owned()),
        };
        EventKind::StopJob { worker, pid, target, outcome: told.map_err(Into::into) }
    }
}

/// The result of an `on_stop` job, of which job 0 is spoken.
fn encoded(worker: &str, pid: u32, target: &'static str, how: HowItWent) -> Encoded {
    let data = |reason: String, in_worker| Box::new(DataError { job: 0, target, reason, in_worker });
    let (has_value, parcel, mut memory) = match how {
        HowItWent::Died(death) => return Err(JobError::Died(death)),
        HowItWent::Lost(reason) => return Err(JobError::Decode(data(format!("its result is lost: {reason}"), false))),
        HowItWent::Told { has_value, parcel, memory } => (has_value, parcel, memory),
    };
    let bytes = parcel.open(&mut memory).map_err(|e| JobError::Decode(data(format!("take over the result: {e}"), false)))?;
    if has_value {
        return Ok(bytes);
    }
    let unread = |e| NoValue::Panicked(Panic::new(format!("(the worker's report cannot be read: {e})")));
    Err(match postcard::from_bytes(&bytes).unwrap_or_else(unread) {
        NoValue::BadArguments(reason) => JobError::Decode(data(reason, true)),
        NoValue::BadResult(reason) => JobError::Encode(data(reason, true)),
        NoValue::Panicked(Panic { message, location, backtrace, .. }) => JobError::Panicked(Box::new(Panicked {
            message,
            location,
            backtrace,
            worker: worker.to_owned(),
            pid,
            target,
            job: 0,
            attempt: 1,
        })),
    })
}

/// Decodes the result of an `on_stop` job.
pub(super) fn decode<F: Target>(encoded: Encoded) -> Result<F::Output, JobError> {
    encoded.and_then(|bytes| {
        decode_caught(F::decode_output, bytes.into())
            .map_err(|reason| JobError::Decode(Box::new(DataError { job: 0, target: F::NAME, reason, in_worker: false })))
    })
}

impl fmt::Debug for StopTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StopTaker({})", self.target)
    }
}
