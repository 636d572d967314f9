//! How a job stands in a pool's queue: the methods of [`Job`] that say so.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::job::Job;
use super::target::Target;

impl<F: Target> Job<'_, F> {
    /// How urgent the job is: of the jobs that wait, the one with the highest number goes first, and of several with the same
    /// number the one that was submitted first. Without it, 0.
    ///
    /// It counts among the jobs that no worker has claimed: short jobs are handed to busy workers ahead of time, and one of higher
    /// priority goes before those too. What runs goes on. A job of low priority may wait as long as there are others.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn page(number: u32) -> u32 {
    ///     number
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// let print = pool.submit(page::job(1).priority(-1))?; // when there is nothing else to do
    /// let show = pool.submit(page::job(2).priority(10))?; // somebody is looking at the screen
    /// assert_eq!((show.wait()?, print.wait()?), (2, 1));
    /// # Ok(()) }
    /// ```
    pub fn priority(mut self, priority: i32) -> Self {
        self.options_mut().priority = priority;
        self
    }

    /// A name for this job and others that belong together. The [`Report`](crate::Report) shows it, and so do the reports of a
    /// panic and of a worker's death; [`Pool::cancel_tagged`](crate::Pool::cancel_tagged) takes back all jobs that have it.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// # #[worker]
    /// # fn page(number: u32) -> u32 { number }
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// let job = pool.submit(page::job(1).tag("report 7"))?;
    /// assert_eq!(job.report().tag.as_deref(), Some("report 7"));
    /// # job.wait()?;
    /// # Ok(()) }
    /// ```
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.options_mut().tag = Some(tag.into());
        self
    }

    /// What the job is about: jobs with equal keys go to the same worker, one after the other, as long as that lives. What the
    /// worker keeps from one job is there for the next, a cache in a static for instance.
    ///
    /// The first job of a key goes to an idle worker, the one with the fewest keys, or to any if none is idle. Later ones wait for the same
    /// one, also while others are idle, and no other takes them from it. Where that worker ends, or has had its last job, the next job of the
    /// key is a first one again. A pool remembers the 16,384 keys that were used last; one that it has forgotten is new to it.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// #[worker]
    /// fn pid(_document: &str) -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let first = pool.run(pid::job("letter").key("letter"))?;
    /// assert_eq!(pool.run(pid::job("letter").key("letter"))?, first);
    /// # Ok(()) }
    /// ```
    pub fn key(mut self, key: impl Hash) -> Self {
        // The same in every run. Two keys with one number share a worker, which is no harm.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.options_mut().key = Some(hasher.finish());
        self
    }
}
