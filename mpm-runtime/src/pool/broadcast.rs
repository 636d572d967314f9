//! One job for every worker: the arguments are encoded once and copied, and each run is a job of its own.

use std::fmt;
use std::sync::Arc;

use super::cell::Cell;
use super::core::Core;
use super::face::Pool;
use super::handle::JobHandle;
use super::pin::Pin;
use super::rules::Rules;
use super::shared::Shared;
use crate::codec::Encoder;
use crate::error::{JobError, Refusal, SubmitError};
use crate::link::{Bytes, INLINE, Payload};
use crate::registry::{Job, Target};

/// The runs of one job in all workers of a pool, made by [`Pool::broadcast`].
///
/// [`wait`](Self::wait) gives their outcomes. As an iterator it gives each worker's name and the handle of its run, to be waited for
/// or dropped like any other.
///
/// ```
/// # use mpm::{Pool, worker};
/// # #[worker]
/// # fn pid() -> u32 { std::process::id() }
/// # #[mpm::main]
/// # fn main() -> mpm::Result<()> {
/// let pool = Pool::builder().name("p").workers(2).build()?;
/// let runs = pool.broadcast(pid::job())?;
/// assert_eq!(runs.len(), 2);
/// for (worker, run) in runs {
///     println!("{worker} is process {}", run.wait()?);
/// }
/// # Ok(()) }
/// ```
#[must_use = "without its handles nobody learns how the jobs ended"]
pub struct Broadcast<R> {
    runs: Vec<(String, JobHandle<R>)>,
}

impl<R> Broadcast<R> {
    /// How many runs there are: one for each worker of the pool.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are none: a pool that may have no worker has none at times.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The names of the workers and the handles of their runs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &JobHandle<R>)> {
        self.runs.iter().map(|(worker, run)| (worker.as_str(), run))
    }

    /// Waits until all runs have ended, and gives their outcomes with the names of the workers, in the order of these.
    #[must_use]
    pub fn wait(self) -> Vec<(String, Result<R, JobError>)> {
        self.runs.into_iter().map(|(worker, run)| (worker, run.wait())).collect()
    }
}

impl<R> IntoIterator for Broadcast<R> {
    type Item = (String, JobHandle<R>);
    type IntoIter = std::vec::IntoIter<(String, JobHandle<R>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.runs.into_iter()
    }
}

impl<R> fmt::Debug for Broadcast<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.runs.iter().map(|(worker, run)| (worker, run))).finish()
    }
}

impl Pool {
    pub(super) fn broadcast_job<F: Target>(&self, job: &Job<'_, F>) -> Result<Broadcast<F::Output>, Refusal> {
        let target = self.target::<F>()?;
        let open = |core: &Core| core.members.iter().filter(|member| member.is_open).map(|member| member.slot).collect::<Vec<_>>();
        let slots = open(&self.shared.lock());
        let payloads = self.encode_copies(job, slots.len());
        let cells = slots.into_iter().map(|slot| {
            let rules = self.rules(target, job)?.unwrap_or_default();
            let rules = Rules { key: None, pin: Some(Pin::to_worker(slot)), ..*rules };
            Ok((slot, Self::cell_with::<F>(Some(Box::new(rules)))))
        });
        let cells: Vec<_> = cells.collect::<Result<_, Refusal>>()?;
        match payloads {
            Ok(payloads) => {
                let jobs: Vec<_> = cells.iter().map(|(_, cell)| Arc::clone(cell)).zip(payloads).collect();
                for (cell, payload) in &jobs {
                    cell.retrying().into_iter().for_each(|retrying| retrying.keep(target, payload.to_vec()));
                }
                self.shared.submit_all(target, jobs)?;
            }
            Err(reason) => cells.iter().try_for_each(|(_, cell)| self.refuse(cell, reason.clone()))?,
        }
        let handle = |cell| JobHandle::new(cell, Arc::clone(&self.shared), F::decode_output);
        Ok(Broadcast { runs: cells.into_iter().map(|(slot, cell)| (self.shared.worker_name(slot), handle(cell))).collect() })
    }

    /// The encoded arguments of a job so many times, large ones in shared memory where there is room.
    fn encode_copies<F: Target>(&self, job: &Job<'_, F>, count: usize) -> Result<Vec<Payload>, String> {
        let mut encoder = Encoder::default();
        job.encode_caught_to(&mut encoder)?;
        let shelf = &self.shared.shelf;
        let copy = |_| {
            let large = (encoder.len() > INLINE).then(|| shelf.pack(None, encoder.len(), encoder.pieces())).flatten();
            large.unwrap_or_else(|| Bytes::from(encoder.to_bytes()).into())
        };
        Ok((0..count).map(copy).collect())
    }
}

impl Pool {
    /// Runs a job once in every worker: to have all of them load, reload or forget something, or tell how they are.
    ///
    /// There is a run for each place of the pool, and it is for the worker that takes jobs there now, idle or busy; where none does yet, or
    /// none any more since the last one has had its last job, it is for the next. Where that worker ends before it has come to it, the run ends as
    /// [`JobError::Cancelled`]: the one that comes in its place, also by [recycling](crate::Builder::max_jobs), is another worker and has
    /// not had the job.
    ///
    /// Priority, tag and limits hold for each run; a [key](Job::key) means nothing here. Waits only while the queue is full, and is accepted
    /// as a whole when there is room for one job. A run that dies with its worker is not tried again, whatever its retries, and what
    /// [`on_done`](Job::on_done) says is called for the first run that ends.
    ///
    /// # Errors
    /// As [`submit`](Self::submit). Arguments that cannot be encoded are the error of every run.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use mpm::{Pool, worker};
    ///
    /// static LEVEL: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[worker]
    /// fn set_level(level: u32) {
    ///     LEVEL.store(level, Ordering::Relaxed);
    /// }
    ///
    /// #[worker]
    /// fn level() -> u32 {
    ///     LEVEL.load(Ordering::Relaxed)
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(3).build()?;
    ///     for (worker, outcome) in pool.broadcast(set_level::job(7))?.wait() {
    ///         outcome.unwrap_or_else(|error| panic!("{worker}: {error}"));
    ///     }
    ///     assert_eq!(pool.run(level::job())?, 7); // whichever worker it is
    ///     Ok(())
    /// }
    /// ```
    pub fn broadcast<'a, F: Target>(&self, job: Job<'a, F>) -> Result<Broadcast<F::Output>, SubmitError<Job<'a, F>>> {
        self.broadcast_job(&job).map_err(|refusal| SubmitError::new(job, refusal))
    }
}

impl Shared {
    /// Puts several jobs into the queue at once, when it has room for one, and hands out what can be handed out.
    fn submit_all(&self, target: u32, jobs: Vec<(Arc<Cell>, Payload)>) -> Result<(), Refusal> {
        let mut core = self.lock_with_room(true)?;
        jobs.into_iter().for_each(|(cell, payload)| core.enqueue(cell, target, payload));
        // A place may have gone meanwhile.
        core.wake = true;
        core.dispatch();
        self.unlock(core);
        Ok(())
    }
}
