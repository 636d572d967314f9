//! What a worker's answer to a job means: its value, or the error that it tells of.

use std::io;

use super::cell::{Cell, Raw};
use super::member::Process;
use crate::codec::{Panic, Unbuilt};
use crate::error::{DataError, JobError, Panicked};
use crate::link::{Kind, Received};

impl Process {
    /// The outcome of a job of `cell`, from a response of this kind and length.
    pub(super) fn open(&self, cell: &Cell, job: u64, kind: Kind, len: u64, payload: io::Result<Received>) -> Raw {
        let data = |reason: String| Box::new(DataError { job, target: cell.target, reason, in_worker: true });
        let payload = match payload {
            // Copied out of shared memory, where that has to be done, by the thread that wants the value.
            Ok(value) if kind == Kind::Value => return Raw::Value(value),
            payload => payload.and_then(Received::into_bytes),
        };
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                let reason = lost_answer(len, &error);
                return Raw::Failed(JobError::Decode(Box::new(DataError { in_worker: false, ..*data(reason) })));
            }
        };
        let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
        Raw::Failed(match kind {
            Kind::Value => return Raw::Value(Received::Bytes(payload)),
            Kind::BadArguments => JobError::Decode(data(text(&payload))),
            Kind::BadResult => JobError::Encode(data(text(&payload))),
            Kind::EndedEarly => self.outcome_of_early_end(cell).of_job(job),
            Kind::NotBuilt => {
                let unread = |e| Unbuilt::unread(format!("(the worker's report cannot be read: {e})"));
                let unbuilt = postcard::from_bytes(&payload).unwrap_or_else(unread);
                let mut report = unbuilt.into_report(&self.worker, self.pid(), cell.target, job);
                report.attempt = cell.attempt();
                JobError::NotBuilt(Box::new(report))
            }
            Kind::Panicked => {
                let unread = |e| Panic::new(format!("(the worker's report of the panic cannot be read: {e})"));
                let panic = postcard::from_bytes(&payload).unwrap_or_else(unread);
                JobError::Panicked(Box::new(Panicked {
                    message: panic.message,
                    location: panic.location,
                    backtrace: panic.backtrace,
                    worker: self.worker.to_string(),
                    pid: self.pid(),
                    target: cell.target,
                    job,
                    tag: cell.tag().cloned(),
                    attempt: cell.attempt(),
                }))
            }
        })
    }
}

/// What is said of an answer of so many bytes that this process has no means to take over.
pub(super) fn lost_answer(len: u64, error: &io::Error) -> String {
    format!("its answer of {len} bytes cannot be taken over, and is lost: {error}")
}
