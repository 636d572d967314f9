//! Waiting for several jobs at once, of one pool or of several.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handle::JobHandle;
use super::watcher::Finished;
use crate::error::JobError;

/// Waits until one of the jobs has ended and returns its index; one that has ended already counts at once.
///
/// `None` only if there are no jobs.
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
///     let pool = Pool::builder().workers(2).build()?;
///     let mut jobs = vec![pool.submit(double::job(1))?, pool.submit(double::job(2))?];
///     let first = mpm::wait_any(&jobs).unwrap();
///     println!("{}", jobs.swap_remove(first).wait()?);
///     Ok(())
/// }
/// ```
#[must_use]
pub fn wait_any<R>(jobs: &[JobHandle<R>]) -> Option<usize> {
    if jobs.is_empty() { None } else { first(jobs, None) }
}

/// As [`wait_any`], for at most `time`; `None` also when none has ended by then.
#[must_use]
pub fn wait_any_timeout<R>(jobs: &[JobHandle<R>], time: Duration) -> Option<usize> {
    if jobs.is_empty() { None } else { first(jobs, Instant::now().checked_add(time)) }
}

fn first<R>(jobs: &[JobHandle<R>], until: Option<Instant>) -> Option<usize> {
    if let Some(index) = jobs.iter().position(JobHandle::is_finished) {
        return Some(index);
    }
    let list = watch(jobs);
    let index = list.wait(until).first().copied();
    unwatch(jobs, &list);
    index
}

/// Waits until all of the jobs have ended. Their outcomes stay in the handles.
///
/// ```
/// # use mpm::{Pool, worker};
/// # #[worker]
/// # fn double(n: u32) -> u32 { 2 * n }
/// # #[mpm::main]
/// # fn main() -> mpm::Result<()> {
/// # let pool = Pool::builder().workers(2).build()?;
/// let jobs = vec![pool.submit(double::job(1))?, pool.submit(double::job(2))?];
/// mpm::wait_all(&jobs);
/// assert!(jobs.iter().all(|job| job.is_finished()));
/// # Ok(()) }
/// ```
pub fn wait_all<R>(jobs: &[JobHandle<R>]) {
    all(jobs, None);
}

/// As [`wait_all`], for at most `time`; whether all have ended by then.
#[must_use]
pub fn wait_all_timeout<R>(jobs: &[JobHandle<R>], time: Duration) -> bool {
    all(jobs, Instant::now().checked_add(time))
}

fn all<R>(jobs: &[JobHandle<R>], until: Option<Instant>) -> bool {
    let list = watch(jobs);
    let mut left = jobs.iter().filter(|job| !job.is_lost()).count();
    while left > 0 {
        let ended = list.wait(until);
        if ended.is_empty() {
            unwatch(jobs, &list);
            return false;
        }
        left -= ended.len();
    }
    true
}

fn watch<R>(jobs: &[JobHandle<R>]) -> Arc<Finished> {
    let list = Arc::new(Finished::default());
    for (index, job) in jobs.iter().enumerate().filter(|(_, job)| !job.is_lost()) {
        job.shared.list(&job.cell, &list, index);
    }
    list
}

fn unwatch<R>(jobs: &[JobHandle<R>], list: &Arc<Finished>) {
    jobs.iter().filter(|job| !job.is_lost()).for_each(|job| job.cell.unwatch(|watcher| watcher.is_for(list)));
}

/// The outcomes of the jobs in the order in which they end, each with the job's index in `jobs`.
///
/// Dropping the iterator early lets the rest go on.
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
///     let pool = Pool::builder().workers(2).build()?;
///     let inputs = [1, 2, 3];
///     let jobs = inputs.map(|n| pool.submit(double::job(n)).unwrap());
///     for (index, outcome) in mpm::as_completed(jobs) {
///         assert_eq!(outcome?, 2 * inputs[index]);
///     }
///     Ok(())
/// }
/// ```
pub fn as_completed<R>(jobs: impl IntoIterator<Item = JobHandle<R>>) -> AsCompleted<R> {
    let mut this = AsCompleted { jobs: HashMap::new(), next_index: 0, list: Arc::default(), ended: Vec::new() };
    jobs.into_iter().for_each(|job| {
        this.push(job);
    });
    this
}

/// The iterator made by [`as_completed`].
#[derive(Debug)]
pub struct AsCompleted<R> {
    jobs: HashMap<usize, JobHandle<R>>,
    next_index: usize,
    list: Arc<Finished>,
    /// Ended and not handed out yet, the next one last.
    ended: Vec<usize>,
}

impl<R> AsCompleted<R> {
    /// Adds one more job and returns its index.
    pub fn push(&mut self, job: JobHandle<R>) -> usize {
        self.leave_the_original();
        let index = self.next_index;
        self.next_index += 1;
        if job.is_lost() {
            self.ended.insert(0, index);
        } else {
            job.shared.list(&job.cell, &self.list, index);
        }
        self.jobs.insert(index, job);
        index
    }

    /// How many jobs have not been handed out yet.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.jobs.len()
    }

    /// As [`next`](Iterator::next), for at most `time`: `None` also when no further job has ended by then, which
    /// [`unfinished`](Self::unfinished) tells apart from the end.
    pub fn next_timeout(&mut self, time: Duration) -> Option<(usize, Result<R, JobError>)> {
        self.advance(Instant::now().checked_add(time))
    }

    /// In a forked copy of the process that made this: what it waited for counts as ended.
    fn leave_the_original(&mut self) {
        if self.list.is_copy() {
            self.list = Arc::default();
            self.ended = self.jobs.keys().copied().collect();
            self.ended.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn advance(&mut self, until: Option<Instant>) -> Option<(usize, Result<R, JobError>)> {
        self.leave_the_original();
        if self.jobs.is_empty() {
            return None;
        }
        if self.ended.is_empty() {
            self.ended = self.list.wait(until);
            self.ended.reverse();
        }
        let index = self.ended.pop()?;
        let job = self.jobs.remove(&index)?;
        Some((index, job.wait()))
    }
}

impl<R> Iterator for AsCompleted<R> {
    type Item = (usize, Result<R, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.jobs.len(), Some(self.jobs.len()))
    }
}
