//! The pool, as its user sees it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle as Thread, ThreadId};
use std::time::{Duration, Instant};

use super::builder::Builder;
use super::handle::{JobHandle, open};
use super::map::Map;
use super::shared::Shared;
use super::unordered::MapUnordered;
use crate::error::{JobError, Refusal, Result, SubmitError};
use crate::link::sync::Ordering;
use crate::registry::{Job, Target};
use crate::start::StartMethod;

/// A pool of worker processes.
///
/// All methods take `&self` and may be called from many threads at once.
///
/// Dropping the pool takes back the jobs that have not started, lets running ones go on for the
/// [grace](Builder::grace), and returns when all worker processes are gone.
///
/// ```
/// use mpm::{Pool, worker};
///
/// #[worker]
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::new()?;
///     assert_eq!(pool.run(shout::job("hello"))?, "HELLO");
///     Ok(())
/// }
/// ```
///
/// # Fork safety
/// A process that was forked from the pool's process by other means cannot use the pool: its threads are not there.
pub struct Pool {
    pub(super) shared: Arc<Shared>,
    supervisor: Mutex<Option<Thread<()>>>,
    pub(super) supervisor_id: ThreadId,
}

impl Pool {
    /// A pool with the default settings: one worker per usable CPU.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// The settings of a new pool.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn from_parts(shared: Arc<Shared>, supervisor: Thread<()>) -> Self {
        let supervisor_id = supervisor.thread().id();
        Self { shared, supervisor: Mutex::new(Some(supervisor)), supervisor_id }
    }

    /// Hands in a job and returns at once with its handle; waits only while the queue is full.
    ///
    /// Arguments that cannot be encoded are the job's own error, which the handle gives.
    ///
    /// # Errors
    /// When the pool has been ended or has failed, also while this waits for room, or when the target is not registered.
    /// The job comes back in the error.
    pub fn submit<'a, F: Target>(&self, job: Job<'a, F>) -> Result<JobHandle<F::Output>, SubmitError<Job<'a, F>>> {
        self.hand_in(&job, true).map_err(|refusal| SubmitError::new(job, refusal))
    }

    /// As [`submit`](Self::submit), but never waits: when the queue is full, the job comes back.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and [`SubmitError::is_full`].
    pub fn try_submit<'a, F: Target>(&self, job: Job<'a, F>) -> Result<JobHandle<F::Output>, SubmitError<Job<'a, F>>> {
        // Looked at first, so that a full queue does not cost the encoding.
        let result = self.shared.check_owner().and_then(|()| self.shared.accepts()).and_then(|()| self.hand_in(&job, false));
        result.map_err(|refusal| SubmitError::new(job, refusal))
    }

    /// Runs a job and waits for its value.
    ///
    /// # Errors
    /// The job's error; [`JobError::PoolFailed`] also when the pool does not accept it.
    pub fn run<F: Target>(&self, job: Job<'_, F>) -> Result<F::Output, JobError> {
        let target = self.target::<F>()?;
        let cell = self.cell(target, &job)?;
        let outcome = match self.encode_and_keep(&job, target, &cell) {
            Ok(payload) => self.shared.run(&cell, target, payload)?,
            Err(reason) => {
                self.refuse(&cell, reason)?;
                cell.take()
            }
        };
        outcome.map_or(Err(JobError::Taken), |outcome| open(&cell, outcome, F::decode_output))
    }

    /// Runs a target on every input and gives the outcomes in the order of the inputs, as they become available.
    ///
    /// An input is the target's argument; a tuple for several, `()` for none. For a borrowed argument the inputs are borrowed
    /// too, `paths.iter().map(|path| path.as_path())`; where the iterator makes the values itself, let the target take an
    /// owned argument.
    ///
    /// Inputs are taken as results are asked for, with a bounded [look-ahead](Map::look_ahead), so the iterator may be endless. A
    /// failed job is an `Err` in its place, and the iteration goes on. Dropping the iterator takes back what has not started.
    ///
    /// ```
    /// use mpm::{Pool, worker};
    ///
    /// #[worker]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(2).build()?;
    ///     let squares: Result<Vec<u64>, _> = pool.map::<square>(1..).take(4).collect();
    ///     assert_eq!(squares?, [1, 4, 9, 16]);
    ///     Ok(())
    /// }
    /// ```
    pub fn map<'a, F: Target>(&'a self, inputs: impl IntoIterator<Item = F::Args<'a>> + 'a) -> Map<'a, F> {
        Map::new(self, Box::new(inputs.into_iter().map(Job::new)))
    }

    /// As [`map`](Self::map), over jobs of one target: for the methods of objects, whose jobs know their object, and for jobs with a tag,
    /// a time limit or another wish of their own, which travel one by one.
    ///
    /// ```
    /// use mpm::{Pool, worker};
    ///
    /// struct Scale(f64);
    ///
    /// #[worker]
    /// impl Scale {
    ///     fn new(factor: f64) -> Self {
    ///         Scale(factor)
    ///     }
    ///
    ///     fn apply(&self, value: f64) -> f64 {
    ///         self.0 * value
    ///     }
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(2).build()?;
    ///     let half = Scale::remote(0.5);
    ///     let halves: Result<Vec<f64>, _> = pool.map_jobs([4.0, 5.0].map(|value| half.apply(value))).collect();
    ///     assert_eq!(halves?, [2.0, 2.5]);
    ///     Ok(())
    /// }
    /// ```
    pub fn map_jobs<'a, F: Target>(&'a self, jobs: impl IntoIterator<Item = Job<'a, F>, IntoIter: 'a>) -> Map<'a, F> {
        Map::new(self, Box::new(jobs.into_iter()))
    }

    /// As [`map`](Self::map), but gives the outcomes in the order in which the jobs end, each with the index of its input.
    pub fn map_unordered<'a, F: Target>(&'a self, inputs: impl IntoIterator<Item = F::Args<'a>> + 'a) -> MapUnordered<'a, F> {
        MapUnordered::new(self, Box::new(inputs.into_iter().map(Job::new)))
    }

    /// Takes no more jobs, finishes those that it has, and returns when all worker processes are gone.
    pub fn join(&self) {
        self.shared.end(None, None);
        self.wait_for_end();
    }

    /// Takes no more jobs, takes back those that have not started, lets running ones go on for `grace`, kills what then
    /// still runs, and returns when all worker processes are gone. Jobs that are taken back or killed by this end as
    /// [`JobError::Cancelled`].
    pub fn shutdown(&self, grace: Duration) {
        let kill_at = Instant::now().checked_add(grace);
        self.shared.end(kill_at, Some("the pool was shut down before it had started"));
        self.wait_for_end();
    }

    /// Kills all workers at once, with everything that they have started, and returns when they are gone. Jobs without
    /// an outcome end as [`JobError::Cancelled`].
    pub fn kill(&self) {
        self.shutdown(Duration::ZERO);
    }

    fn wait_for_end(&self) {
        // In a forked copy of the process there is no supervisor to wait for.
        if self.shared.is_copy() {
            return;
        }
        // The supervisor itself is here when a waker that it called ends the pool: it cannot wait for its own end. Nor can what
        // judges a result, for whose job that end waits.
        if thread::current().id() == self.supervisor_id || self.shared.judges.is_here() {
            return;
        }
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        match supervisor {
            Some(thread) => drop(thread.join()),
            None => self.shared.wait_ended(),
        }
        self.shared.callbacks.wait();
        self.shared.judges.wait();
    }

    pub(super) fn target<F: Target>(&self) -> Result<u32, Refusal> {
        self.shared.check_owner()?;
        self.shared.registry.index_of::<F>().map_err(|e| Refusal::Unknown(e.to_string().into()))
    }

    /// How the pool's workers are started: what was asked for, or, where nothing was and the default one does not work in
    /// this program, [`Spawn`](StartMethod::Spawn).
    pub fn start_method(&self) -> StartMethod {
        self.shared.method()
    }

    /// How many workers it has at most.
    pub(super) fn worker_count(&self) -> usize {
        self.shared.most_workers.load(Ordering::Relaxed) as usize
    }

    pub(super) fn queue_size(&self) -> usize {
        self.shared.settings.queue
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shutdown(self.shared.settings.grace);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}, {} workers)", self.shared.settings.name, self.worker_count())
    }
}
