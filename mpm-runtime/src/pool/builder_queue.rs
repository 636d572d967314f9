//! The settings of a pool that are about its queue: what holds back the jobs of a target, and who gets which.

use std::time::Duration;

use super::builder::Builder;
use super::limit::TargetLimits;
use crate::registry::Target;

impl Builder {
    /// How many jobs of a target may run at once in this pool, at least 1: for one that shares something scarce, a licence or a
    /// disk. The others of that target wait, and no other job waits for them.
    ///
    /// A job counts from the moment at which it is handed to a worker to its end.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn transcode(file: u32) -> u32 {
    ///     file
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(4).limit_concurrency::<transcode>(2).build()?;
    /// assert_eq!(pool.map::<transcode>(0..9).filter(Result::is_ok).count(), 9); // two at a time
    /// # Ok(()) }
    /// ```
    pub fn limit_concurrency<F: Target>(mut self, jobs: usize) -> Self {
        TargetLimits::of::<F>(&mut self.settings.target_limits).at_once = Some(jobs);
        self
    }

    /// How many jobs of a target may start in a span of time, from 1 to 65,536: for one that calls a service that allows no more. In no
    /// span of this length do more start, wherever it begins; within it they start as soon as they can. The others of that target wait,
    /// and no other job waits for them, but that a job whose turn it is goes to an idle worker, and what comes after it waits with it until there
    /// is one.
    ///
    /// The algorithm is a sliding window over the times of the last starts. A job that is taken back before it starts does not count. With a
    /// [key](crate::Job::key), or for one worker alone, a job may be handed out ahead of time: then it is that moment that counts.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn ask(question: u32) -> u32 {
    ///     question
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(2).limit_rate::<ask>(10, Duration::from_millis(50)).build()?;
    /// assert_eq!(pool.map::<ask>(0..25).filter(Result::is_ok).count(), 25); // takes at least a tenth of a second
    /// # Ok(()) }
    /// ```
    pub fn limit_rate<F: Target>(mut self, jobs: u32, span: Duration) -> Self {
        TargetLimits::of::<F>(&mut self.settings.target_limits).rate = Some((jobs, span));
        self
    }

    /// Hands jobs to the workers in a fixed order: the first job to worker 0, the second to worker 1, and so on, round and round. A job
    /// waits for its worker, or for the one that comes in its place, also while others are idle.
    ///
    /// It is of use where runs are to be repeated exactly, not where they are to be fast. A job with a [key](crate::Job::key) goes where its key
    /// goes, and a [broadcast](crate::Pool::broadcast) to all; neither takes a turn. The pool has a fixed number of
    /// [workers](Self::workers): with a range, [`build`](Self::build) fails.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(2).round_robin(true).build()?;
    /// let pids: Result<Vec<u32>, _> = pool.map::<pid>([(), (), (), ()]).collect();
    /// let pids = pids?;
    /// assert!(pids[0] == pids[2] && pids[1] == pids[3] && pids[0] != pids[1]);
    /// # Ok(()) }
    /// ```
    pub fn round_robin(mut self, yes: bool) -> Self {
        self.settings.round_robin = yes;
        self
    }
}
