//! The builder's settings of when workers are replaced, and of those that stand still or are of no use.

use std::time::Duration;

use super::builder::Builder;
use super::limits::Limits;

impl Builder {
    /// After so many jobs a worker is replaced by a fresh one. The next one is started while the last job runs, and in a pool with one
    /// job a worker already before that, where jobs wait.
    ///
    /// `max_jobs(1)` is a process for each job: nothing of one job is left for the next.
    pub fn max_jobs(self, jobs: u64) -> Self {
        self.limit(|limits| limits.max_jobs = Some(jobs))
    }

    /// Lets each worker have a number of jobs of its own, from [`max_jobs`](Self::max_jobs) to that and this share of it more, so that
    /// not all are replaced at once. From 0 to 1.
    pub fn max_jobs_jitter(self, share: f64) -> Self {
        self.limit(|limits| limits.max_jobs_jitter = share)
    }

    /// Replaces a worker that is older than this, between two jobs.
    ///
    /// Its successor is started first; until that is ready the old one goes on taking jobs, and where none can be started it stays. A
    /// job that runs is never cut short.
    pub fn max_age(self, age: Duration) -> Self {
        self.limit(|limits| limits.max_age = Some(age))
    }

    /// Ends a worker that has had nothing to do for so long, in a pool that has more of them than it has to: see
    /// [`workers`](Self::workers).
    pub fn max_idle(self, time: Duration) -> Self {
        self.limit(|limits| limits.max_idle = Some(time))
    }

    /// Replaces a worker that holds more than so many bytes of memory after a job, as [`max_age`](Self::max_age) does.
    ///
    /// What counts is the resident set, as `ps` shows it: with the program itself, with what the worker shares with others of what was
    /// [preloaded](Self::preload), and with shared memory. The worker looks after its jobs, though not several times in
    /// the same few milliseconds.
    pub fn max_rss(self, bytes: u64) -> Self {
        self.limit(|limits| limits.max_rss = Some(bytes))
    }

    /// Kills a worker that holds more than so many bytes of memory, with all that it has started. Its job ends as
    /// [`JobError::Died`](crate::JobError::Died), and the [`Death`](crate::Death) says
    /// [`EndReason::Memory`](crate::EndReason::Memory).
    ///
    /// The pool looks at workers that have a job ten times in a second: in between a worker may take more. After a job this limit is
    /// one as [`max_rss`](Self::max_rss).
    pub fn max_rss_hard(self, bytes: u64) -> Self {
        self.limit(|limits| limits.max_rss_hard = Some(bytes))
    }

    /// What share of the workers may be in the middle of their replacement at a time, from 0 to 1; always at least one worker.
    ///
    /// It holds where a worker can wait for its turn: for age, memory, and [`Pool::restart`](crate::Pool::restart). One that has had
    /// its number of jobs does not wait; [`max_jobs_jitter`](Self::max_jobs_jitter) keeps these apart.
    pub fn recycle_share(self, share: f64) -> Self {
        self.limit(|limits| limits.recycle_share = share)
    }

    /// How long a worker may stand still. One that has not taken a job that it was given for so long loses its jobs to others and is
    /// replaced. One that a signal has stopped in the middle of a job is killed; the job ends as
    /// [`JobError::Died`](crate::JobError::Died), and the [`Death`](crate::Death) says
    /// [`EndReason::Unresponsive`](crate::EndReason::Unresponsive).
    ///
    /// A job that takes long, or hangs, is none of this; nor is a worker that a debugger holds. `Duration::MAX` for never. The
    /// pool looks once in a second, or oftener where this time is short, as long as it has jobs.
    pub fn unresponsive(self, time: Duration) -> Self {
        self.limit(|limits| limits.unresponsive = Some(time))
    }

    /// Lets the pool fail where more than `count` workers were of no use within `per`: they could not be started, or died within a
    /// second without a job. All jobs that wait, and whoever waits for room in the queue, get the reason at once.
    ///
    /// Without this, a pool goes on as long as one of its workers is of use, and tries to replace the others at longer and longer
    /// intervals; it fails when it has none left and five starts in a row have failed.
    pub fn restart_limit(self, count: u32, per: Duration) -> Self {
        self.limit(|limits| limits.restart_limit = Some((count, per)))
    }

    fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.settings.limits);
        self
    }
}
