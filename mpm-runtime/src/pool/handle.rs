//! The handle of a submitted job: wait for its outcome, poll it, take it back, ask how it went.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::answer::lost_answer;
use super::cell::{Cell, Facts, Raw};
use super::shared::Shared;
use super::spare::Held;
use super::watcher::Watcher;
use crate::codec::{Decode, decode_caught};
use crate::error::{DataError, JobError};
use crate::registry::Report;

/// A submitted job.
///
/// Its one outcome is got by [`wait`](Self::wait), by [`wait_timeout`](Self::wait_timeout), or by `.await`, on any
/// executor or none. Dropping the handle lets the job go on unobserved.
///
/// ```
/// use mpm::{Pool, worker};
///
/// #[worker]
/// fn double(n: u32) -> u32 {
///     2 * n
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::builder().workers(1).build()?;
///     let job = pool.submit(double::job(21))?;
///     assert_eq!(job.wait()?, 42);
///     Ok(())
/// }
/// ```
///
/// # Fork safety
/// In a process that was forked from the pool's process by other means, every job counts as ended, and its outcome is
/// [`JobError::PoolFailed`]. In the pool's own process it goes on.
#[must_use = "without its handle nobody learns how the job ended"]
pub struct JobHandle<R> {
    pub(super) cell: Held,
    pub(super) shared: Arc<Shared>,
    decode: Decode<R>,
}

impl<R> JobHandle<R> {
    pub(super) fn new(cell: Held, shared: Arc<Shared>, decode: Decode<R>) -> Self {
        Self { cell, shared, decode }
    }

    /// The job's id, unique in its pool and the one that reports and errors name.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.cell.id()
    }

    /// Waits for the job's end and returns its value.
    ///
    /// # Errors
    /// The [`JobError`] with which the job ended; [`JobError::Taken`] if `wait_timeout` or a poll gave the outcome out before.
    pub fn wait(self) -> Result<R, JobError> {
        self.shared.wait(&self.cell, None).map_or(Err(JobError::Taken), |outcome| self.open(outcome))
    }

    /// As [`wait`](Self::wait), and how long the job ran, as far as it did.
    pub(super) fn wait_timed(self) -> (Result<R, JobError>, Option<Duration>) {
        let outcome = self.shared.wait(&self.cell, None);
        let ran = if self.is_lost() { None } else { self.cell.facts().ran };
        (outcome.map_or(Err(JobError::Taken), |outcome| self.open(outcome)), ran)
    }

    /// Waits at most `time` for the job's end. `None` means that the job has not ended: it goes on, and its outcome can
    /// be waited for again. A zero `time` looks and returns.
    pub fn wait_timeout(&mut self, time: Duration) -> Option<Result<R, JobError>> {
        let outcome = match Instant::now().checked_add(time) {
            Some(until) => self.shared.wait(&self.cell, Some(until)),
            None => self.shared.wait(&self.cell, None),
        };
        outcome.map(|outcome| self.open(outcome))
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_lost() || self.shared.has_ended(&self.cell)
    }

    /// Takes the job back if no worker has started it: it will never run, and its outcome is [`JobError::Cancelled`].
    ///
    /// Returns whether it was taken back. `false` means that it has ended or that a worker has started it: it goes on, and
    /// its outcome stays its own.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn sleep_ms(ms: u64) {
    ///     std::thread::sleep(std::time::Duration::from_millis(ms)); // the job's own work
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// let first = pool.submit(sleep_ms::job(50))?;
    /// let second = pool.submit(sleep_ms::job(50))?;
    /// if second.cancel() {
    ///     assert!(second.wait().unwrap_err().is_cancelled());
    /// }
    /// first.wait()?;
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self) -> bool {
        self.shared.cancel(&self.cell)
    }

    /// Ends the job, whether it has started or not: one that has not is [taken back](Self::cancel), and one that runs is asked to
    /// end, as if it had met its [`timeout`](crate::Job::timeout), and then ended with its worker. Its outcome is
    /// [`JobError::Cancelled`], unless it returns before that.
    ///
    /// Returns at once; false if the job has ended already.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn spin_for_ever() {
    ///     loop {
    ///         mpm::current().checkpoint();
    ///     }
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// let job = pool.submit(spin_for_ever::job())?;
    /// assert!(job.abort());
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    pub fn abort(&self) -> bool {
        self.shared.abort(&self.cell)
    }

    /// How far the job has come, as it has told last by [`Current::progress`](crate::Current::progress): so many parts of so
    /// many. `None` if it does not run, or has told nothing.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        if self.is_lost() { None } else { self.shared.progress(&self.cell) }
    }

    /// Whether this is a forked copy of the process that made the pool.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.is_copy()
    }

    /// How the job went, or how far it has come.
    #[must_use]
    pub fn report(&self) -> Report {
        let facts = if self.is_lost() { Facts::default() } else { self.shared.facts(&self.cell) };
        report(&self.cell, facts, |slot| self.shared.worker_name(slot))
    }

    fn open(&self, outcome: Result<Raw, JobError>) -> Result<R, JobError> {
        open(&self.cell, outcome, self.decode)
    }
}

/// How the job of `cell` went, or how far it has come.
pub(super) fn report(cell: &Cell, facts: Facts, name: impl FnOnce(u32) -> String) -> Report {
    let total = facts.ended.unwrap_or_else(Instant::now).duration_since(cell.submitted);
    Report {
        job: cell.id(),
        target: cell.target,
        tag: cell.tag().cloned(),
        worker: facts.worker.map(|(slot, _)| name(slot)),
        pid: facts.worker.map(|(_, pid)| pid),
        attempt: cell.attempt(),
        queued: total.saturating_sub(facts.ran.unwrap_or_default()),
        ran: facts.ran,
    }
}

/// Turns an outcome into the job's own type.
pub(super) fn open<R>(cell: &Cell, outcome: Result<Raw, JobError>, decode: Decode<R>) -> Result<R, JobError> {
    let value = match outcome? {
        Raw::Value(value) => value,
        Raw::Failed(error) => return Err(error),
    };
    let len = value.len() as u64;
    let bytes = value.into_bytes().map_err(|error| lost_answer(len, &error));
    bytes
        .and_then(|bytes| bytes.give(|bytes| decode_caught(decode, bytes)))
        .map_err(|reason| JobError::Decode(Box::new(DataError { job: cell.id(), target: cell.target, reason, in_worker: false })))
}

impl<R> Future for JobHandle<R> {
    type Output = Result<R, JobError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.shared.lost() {
            return Poll::Ready(Err(error));
        }
        if let Some(outcome) = self.cell.take() {
            return Poll::Ready(self.open(outcome));
        }
        self.shared.watch(&self.cell, Watcher::Task(context.waker().clone()));
        // The end may have come between the look and the watch, which then was in vain.
        self.cell.take().map_or(Poll::Pending, |outcome| Poll::Ready(self.open(outcome)))
    }
}

impl<R> fmt::Debug for JobHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobHandle({} `{}`)", self.cell.id(), self.cell.target)
    }
}
