//! What a pool tells whoever listens: each start and end of a worker, each job without a value or tried again, its own end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{EndReason, HowItEnded, JobError};
use crate::start::StartMethod;

/// Something has happened in a pool; see [`Builder::on_event`](crate::Builder::on_event).
///
/// It prints as one line, without the time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The pool's name.
    pub pool: Arc<str>,
    /// When it happened.
    pub time: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What has happened in a pool.
///
/// Each worker that has started has one `WorkerStarted` and, later, one `WorkerEnded`, with one reason. Between them come one
/// `WorkerReady`, unless it ends before, and one `WorkerEnding`, if it is the pool that ends it.
///
/// Jobs that return have no event: that would cost each of them more than its way through the pool does. Their handles tell of them,
/// and [`Job::on_done`](crate::Job::on_done) does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A worker's process is there. It gets ready now: its `on_start` jobs run.
    #[non_exhaustive]
    WorkerStarted {
        /// Its name, such as `thumbs-0`. A worker that takes the place of another has the name of that.
        worker: Arc<str>,
        /// Its process id.
        pid: u32,
        /// How it was started.
        method: StartMethod,
    },
    /// A worker takes jobs from now on.
    #[non_exhaustive]
    WorkerReady {
        /// Its name.
        worker: Arc<str>,
        /// Its process id.
        pid: u32,
        /// How long that took since it has started.
        took: Duration,
    },
    /// The process that forks the workers had ended, and another one has taken its place: once for each time, when a worker was next
    /// wanted. Workers that it had forked have gone on.
    #[non_exhaustive]
    TemplateRestarted {
        /// How the former one ended.
        reason: Arc<str>,
    },
    /// A worker could not be started, or ended before it was of any use.
    #[non_exhaustive]
    StartFailed {
        /// Its name.
        worker: Arc<str>,
        /// Why, with its last lines on standard error.
        reason: Arc<str>,
        /// When the next try comes; `None` if the pool gives up.
        retry_in: Option<Duration>,
    },
    /// The pool ends a worker, at once or when it has done what it has begun.
    #[non_exhaustive]
    WorkerEnding {
        /// Its name.
        worker: Arc<str>,
        /// Its process id.
        pid: u32,
        /// Why.
        reason: EndReason,
    },
    /// An `on_stop` job of a worker has ended.
    #[non_exhaustive]
    StopJob {
        /// The worker's name.
        worker: Arc<str>,
        /// Its process id.
        pid: u32,
        /// The name of the job's target.
        target: &'static str,
        /// Whether it went well, and if not, why.
        outcome: Result<(), Arc<str>>,
    },
    /// A worker's process has ended.
    #[non_exhaustive]
    WorkerEnded {
        /// Its name.
        worker: Arc<str>,
        /// Its process id.
        pid: u32,
        /// Why it ended: the first reason that there was.
        reason: EndReason,
        /// As the system tells it.
        how: HowItEnded,
        /// How many jobs it has answered.
        jobs: u64,
        /// How long it lived.
        lifetime: Duration,
    },
    /// A job has ended without a value: it panicked, its worker died, it was cancelled, its data could not travel, or its pool
    /// failed.
    #[non_exhaustive]
    JobFailed {
        /// The job's id.
        job: u64,
        /// The name of its target.
        target: &'static str,
        /// What its handle gives.
        error: JobError,
    },
    /// A try at a job has failed, or returned what [`Job::retry_if`](crate::Job::retry_if) does not want, and the job is tried again.
    #[non_exhaustive]
    JobRetried {
        /// The job's id.
        job: u64,
        /// The name of its target.
        target: &'static str,
        /// Which try that was, from 1.
        attempt: u32,
        /// How it failed; `None` if it returned.
        error: Option<JobError>,
        /// When the next try comes.
        retry_in: Duration,
    },
    /// The pool gives up; see [`JobError::PoolFailed`].
    #[non_exhaustive]
    PoolFailed {
        /// Why.
        reason: Arc<str>,
    },
    /// All workers are gone. Nothing more comes.
    PoolEnded,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {}: {}", self.pool, self.kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerStarted { worker, pid, method } => write!(f, "worker {worker} (pid {pid}) started by {method}"),
            Self::WorkerReady { worker, pid, took } => write!(f, "worker {worker} (pid {pid}) is ready after {took:.1?}"),
            Self::TemplateRestarted { reason } => write!(f, "{reason}; another one has taken its place"),
            Self::StartFailed { reason, retry_in: Some(wait), .. } => write!(f, "{reason}; the next try comes in {wait:?}"),
            Self::StartFailed { reason, retry_in: None, .. } => write!(f, "{reason}; the pool gives up"),
            Self::WorkerEnding { worker, pid, reason } => write!(f, "worker {worker} (pid {pid}) is to end: {reason}"),
            Self::StopJob { worker, pid, target, outcome: Ok(()) } => {
                write!(f, "worker {worker} (pid {pid}) has run its on_stop job `{target}`")
            }
            Self::StopJob { worker, pid, target, outcome: Err(reason) } => {
                write!(f, "on_stop job `{target}` of worker {worker} (pid {pid}) failed: {reason}")
            }
            Self::WorkerEnded { worker, pid, reason, how, jobs, lifetime } => {
                let plural = if *jobs == 1 { "" } else { "s" };
                write!(f, "worker {worker} (pid {pid}) {how} after {lifetime:.1?} and {jobs} job{plural}: {reason}")
            }
            // It names the job.
            Self::JobFailed { error, .. } => error.fmt(f),
            Self::JobRetried { error: Some(error), attempt, retry_in, .. } => {
                // The error comes last: lines of the worker's may follow it.
                write!(f, "try {attempt} failed, the next one comes in {retry_in:.1?}: {error}")
            }
            Self::JobRetried { job, target, attempt, error: None, retry_in } => {
                write!(
                    f,
                    "try {attempt} at job {job} (`{target}`) returned what is to be tried again; the next one comes in {retry_in:.1?}"
                )
            }
            Self::PoolFailed { reason } => write!(f, "the pool failed: {reason}"),
            Self::PoolEnded => f.write_str("the pool has ended"),
        }
    }
}
