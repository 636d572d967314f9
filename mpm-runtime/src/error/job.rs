//! How a job can end without a value.

use std::fmt;
use std::sync::Arc;

use super::build::NotBuilt;
use super::death::Death;
use super::limits::{Expired, Poisoned, TimedOut};

/// How a job ended, if it did not return.
///
/// Every job has exactly one outcome: the value that its target returned, which may itself be a `Result`, or one of
/// these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JobError {
    /// The target panicked. Its worker goes on.
    Panicked(Box<Panicked>),
    /// The worker died with the job. It is replaced.
    Died(Box<Death>),
    /// The object whose method the job calls could not be built. The job did not run; its worker goes on.
    NotBuilt(Box<NotBuilt>),
    /// The job was taken back, or ended while it ran: by [`JobHandle::cancel`](crate::JobHandle::cancel),
    /// [`JobHandle::abort`](crate::JobHandle::abort) or [`Pool::cancel_tagged`](crate::Pool::cancel_tagged), because the pool ended, or
    /// because the worker did that a [broadcast](crate::Pool::broadcast) was for.
    Cancelled(Cancelled),
    /// The job ran longer than it may.
    TimedOut(Box<TimedOut>),
    /// No worker had started the job when its time to wait was over. It did not run.
    Expired(Expired),
    /// The job has killed so many workers that it is not tried again.
    Poisoned(Box<Poisoned>),
    /// The arguments or the result could not be turned into bytes.
    Encode(Box<DataError>),
    /// The arguments or the result could not be read back from bytes.
    Decode(Box<DataError>),
    /// The pool refused or gave up the job, because it could not start workers for instance; the text says why.
    PoolFailed(Arc<str>),
    /// The outcome was already handed out through this handle.
    Taken,
}

impl JobError {
    /// Whether the worker died with the job.
    #[must_use]
    pub const fn is_died(&self) -> bool {
        matches!(self, Self::Died(_))
    }

    /// Whether the target panicked.
    #[must_use]
    pub const fn is_panicked(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the job's object could not be built, so that the job did not run.
    #[must_use]
    pub const fn is_not_built(&self) -> bool {
        matches!(self, Self::NotBuilt(_))
    }

    /// Whether the job ran longer than it may.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// Whether the job waited longer than it may, and did not run.
    #[must_use]
    pub const fn is_expired(&self) -> bool {
        matches!(self, Self::Expired(_))
    }

    /// Whether the job was taken back, or ended while it ran because somebody wanted it to.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// The same of another job.
    pub(crate) fn of_job(mut self, id: u64) -> Self {
        match &mut self {
            Self::Panicked(panic) => panic.job = id,
            Self::Died(death) => death.job = id,
            Self::NotBuilt(report) => report.job = id,
            Self::Cancelled(cancelled) => cancelled.job = id,
            Self::TimedOut(error) => error.job = id,
            Self::Expired(error) => error.job = id,
            Self::Poisoned(error) => error.job = id,
            Self::Encode(error) | Self::Decode(error) => error.job = id,
            Self::PoolFailed(_) | Self::Taken => {}
        }
        self
    }

    /// The report, if the worker died.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        if let Self::Died(death) = self { Some(death) } else { None }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Died(death) => death.fmt(f),
            Self::NotBuilt(report) => report.fmt(f),
            Self::Cancelled(Cancelled { job, target, reason }) => write!(f, "job {job} (`{target}`) was cancelled: {reason}"),
            Self::TimedOut(error) => error.fmt(f),
            Self::Expired(error) => error.fmt(f),
            Self::Poisoned(error) => error.fmt(f),
            Self::Encode(error) => write!(f, "encode {error}"),
            Self::Decode(error) => write!(f, "decode {error}"),
            Self::PoolFailed(reason) => write!(f, "the pool failed: {reason}"),
            Self::Taken => f.write_str("the outcome of this job was already taken through this handle"),
        }
    }
}

impl std::error::Error for JobError {}

/// A panic in a target.
///
/// `{}` prints it with its backtrace where `RUST_BACKTRACE` asks for that, as for panics of this process; `{:#}` always does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Panicked {
    /// The panic's message.
    pub message: String,
    /// Source file, line and column, if known.
    pub location: Option<String>,
    /// The backtrace, unless `RUST_BACKTRACE=0` forbids it.
    pub backtrace: Option<String>,
    /// The worker's name.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// The name of the job's target.
    pub target: &'static str,
    /// The job's id.
    pub job: u64,
    /// What [`Job::tag`](crate::Job::tag) has named it.
    pub tag: Option<Arc<str>>,
    /// Which try at the job this was, from 1.
    pub attempt: u32,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} (`{}`", self.job, self.target)?;
        if let Some(tag) = &self.tag {
            write!(f, ", tag {tag:?}")?;
        }
        f.write_str(") panicked")?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, " in worker {} (pid {}): {}", self.worker, self.pid, self.message)?;
        write_backtrace(f, self.backtrace.as_deref())
    }
}

/// Appends the backtrace of a worker's panic, where it is wanted.
pub(super) fn write_backtrace(f: &mut fmt::Formatter<'_>, backtrace: Option<&str>) -> fmt::Result {
    match backtrace {
        Some(backtrace) if f.alternate() || backtraces_are_wanted() => write!(f, "\n  backtrace in the worker:\n{backtrace}"),
        _ => Ok(()),
    }
}

/// Whether the environment asks for backtraces, as it does for panics of this process.
fn backtraces_are_wanted() -> bool {
    std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0")
}

/// A job that was taken back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cancelled {
    /// The job's id.
    pub job: u64,
    /// The name of the job's target.
    pub target: &'static str,
    /// Who took it back, and whether it had started.
    pub reason: &'static str,
}

/// Arguments or a result that could not travel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DataError {
    /// The job's id.
    pub job: u64,
    /// The name of the job's target.
    pub target: &'static str,
    /// What could not travel, and why.
    pub reason: String,
    /// Whether it was found in the worker; else it was found in this process.
    pub in_worker: bool,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.in_worker { "the worker" } else { "the calling process" };
        write!(f, "the data of job {} (`{}`) in {place}: {}", self.job, self.target, self.reason)
    }
}
