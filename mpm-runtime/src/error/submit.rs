//! A job that was not accepted.

use std::fmt;
use std::sync::Arc;

use super::setup::{Error, Kind};

/// Why a pool refused a job.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    Full(usize),
    Closed,
    Failed(Arc<str>),
    Unknown(Arc<str>),
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
        }
    }
}

/// A job that the pool did not accept, handed back unharmed.
///
/// It converts into [`Error`] with `?`.
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

    pub(crate) fn refusal(&self) -> &Refusal {
        &self.refusal
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

impl<J> From<SubmitError<J>> for Error {
    fn from(error: SubmitError<J>) -> Self {
        let kind = match &error.refusal {
            Refusal::Full(_) => Kind::Full,
            Refusal::Closed => Kind::Closed,
            Refusal::Failed(_) => Kind::Failed,
            Refusal::Unknown(_) => Kind::Registry,
        };
        Self::new(kind, format!("submit a job: {}", error.refusal))
    }
}
