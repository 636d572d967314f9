//! A job that was not accepted.

use std::fmt;
use std::sync::Arc;

use super::job::JobError;
use super::setup::{Error, Kind};

/// Why a pool refused a job.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    Full(usize),
    Closed,
    Failed(Arc<str>),
    Unknown(Arc<str>),
    /// What the job asks for cannot be.
    Option(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(capacity) => {
                write!(f, "the queue is full: as many jobs wait as it holds ({capacity}); submit() waits for room")
            }
            Self::Closed => f.write_str("the pool takes no more jobs: it was joined, shut down or killed"),
            Self::Failed(reason) => write!(f, "the pool failed: {reason}"),
            Self::Unknown(reason) => f.write_str(reason),
            Self::Option(reason) => write!(f, "the job has {reason}"),
        }
    }
}

/// A job that the pool did not accept, handed back unharmed.
///
/// It converts with `?` into [`Error`], and into [`JobError`]. Neither borrows from the job, which is of use where the error
/// has to outlive the arguments, in a `Box<dyn Error>` for instance: `.map_err(mpm::Error::from)?`.
pub struct SubmitError<J> {
    job: J,
    refusal: Refusal,
}

impl<J> SubmitError<J> {
    pub(crate) fn new(job: J, refusal: Refusal) -> Self {
        Self { job, refusal }
    }

    /// The job, to be submitted again here or elsewhere.
    #[must_use]
    pub fn into_job(self) -> J {
        self.job
    }

    /// The queue is full; a later try may succeed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.refusal, Refusal::Full(_))
    }

    /// The pool was joined, shut down or killed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.refusal, Refusal::Closed)
    }

    /// The pool has given up.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.refusal, Refusal::Failed(_))
    }

    /// The target is not among the registered ones.
    #[must_use]
    pub fn is_unknown_target(&self) -> bool {
        matches!(self.refusal, Refusal::Unknown(_))
    }
}

impl<J> fmt::Display for SubmitError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl<J> fmt::Debug for SubmitError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubmitError({})", self.refusal)
    }
}

impl<J> std::error::Error for SubmitError<J> {}

impl<J> From<SubmitError<J>> for JobError {
    fn from(error: SubmitError<J>) -> Self {
        error.refusal.into()
    }
}

/// Where a job's error is due and the job was not taken.
impl From<Refusal> for JobError {
    fn from(refusal: Refusal) -> Self {
        Self::PoolFailed(match refusal {
            Refusal::Failed(reason) | Refusal::Unknown(reason) => reason,
            other => other.to_string().into(),
        })
    }
}

impl<J> From<SubmitError<J>> for Error {
    fn from(error: SubmitError<J>) -> Self {
        let kind = match &error.refusal {
            Refusal::Full(_) => Kind::Full,
            Refusal::Closed => Kind::Closed,
            Refusal::Failed(_) => Kind::Failed,
            Refusal::Unknown(_) => Kind::Registry,
            Refusal::Option(_) => Kind::Setting,
        };
        Self::new(kind, format!("submit a job: {}", error.refusal))
    }
}
