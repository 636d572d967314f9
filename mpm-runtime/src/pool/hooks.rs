//! What runs in each worker before and after its jobs, and who is told of what happens: the builder's settings for it, and what the
//! supervisor knows of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Builder;
use super::callbacks::{Callbacks, Listener};
use super::events::Event;
use super::preload::{Preloaded, Preloads};
use super::settings::Settings;
use super::stop_jobs::{StopTaker, StopTakers, decode};
use crate::error::{Error, JobError, Kind, Result};
use crate::registry::{Job, Registry, Target};
use crate::start::{CheckPreload, Hooks};

/// What a builder was told.
#[derive(Clone, Default)]
pub(super) struct HookSettings {
    start: Preloads,
    stop: Preloads,
    takers: StopTakers,
    listener: Option<Listener>,
    start_timeout: Option<Duration>,
    stop_timeout: Option<Duration>,
}

/// What the workers of a pool run besides its jobs.
#[derive(Debug)]
pub(super) struct WorkerHooks {
    pub(super) jobs: Hooks,
    checks: Vec<CheckPreload>,
    /// How long one `on_start` job may take.
    pub(super) start_timeout: Duration,
    /// How long one `on_stop` job may take.
    pub(super) stop_timeout: Duration,
}

impl WorkerHooks {
    /// The name of `on_start` job number `index`.
    pub(super) fn start_name(&self, index: u32) -> Option<&str> {
        self.jobs.start.get(usize::try_from(index).ok()?).map(|job| job.name.as_str())
    }

    /// Whether the result of `on_start` job number `index` is a success.
    pub(super) fn check_start(&self, index: u32, result: Vec<u8>) -> Result<(), String> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let known = self.jobs.start.get(index).zip(self.checks.get(index));
        let (job, check) = known.ok_or("it ran an on_start job that there is not")?;
        check(result).map_err(|error| format!("on_start job `{}` failed: {error}", job.name))
    }
}

impl HookSettings {
    /// What the workers are told, and who is told of them.
    pub(super) fn resolve(self, settings: &Settings, registry: &'static Registry) -> Result<(WorkerHooks, Arc<Callbacks>)> {
        let Self { start, stop, takers, listener, start_timeout, stop_timeout } = self;
        let refuse = |text: &str| Err(Error::new(Kind::Setting, text));
        if start_timeout.is_some_and(|time| time.is_zero()) {
            return refuse("Builder::on_start_timeout(0): no job runs in no time");
        }
        if stop_timeout.is_some_and(|time| time.is_zero()) {
            return refuse("Builder::on_stop_timeout(0): no job runs in no time");
        }
        let start = start.resolve("Builder::on_start", registry)?;
        let stop = stop.resolve("Builder::on_stop", registry)?;
        let hooks = WorkerHooks {
            jobs: Hooks { start: start.jobs, stop: stop.jobs },
            checks: start.checks,
            start_timeout: start_timeout.unwrap_or(settings.start_timeout),
            stop_timeout: stop_timeout.unwrap_or(settings.grace),
        };
        Ok((hooks, Callbacks::new(&settings.name, listener, takers)))
    }
}

impl Builder {
    /// Runs a job in each worker before it takes jobs: also in one that comes from a template, where
    /// [`preload`](Self::preload) runs once for all. May be called several times; the jobs run in this order.
    ///
    /// A job that fails, panics, ends its process, or takes longer than [`on_start_timeout`](Self::on_start_timeout) makes the start of
    /// that worker fail. It is tried again, at growing intervals; when starts have failed five times in a row and the pool has no worker
    /// left, ready or on its way, it gives up with that reason. A job that takes too long is tried again only while there are others.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use mpm::{Pool, worker};
    ///
    /// static CONNECTION: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[worker]
    /// fn connect(port: u32) -> Result<(), String> {
    ///     CONNECTION.store(port, Ordering::Relaxed);
    ///     Ok(())
    /// }
    ///
    /// #[worker]
    /// fn ask() -> u32 {
    ///     CONNECTION.load(Ordering::Relaxed)
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(2).on_start(connect::job(8080)).build()?;
    ///     assert_eq!(pool.run(ask::job())?, 8080);
    ///     Ok(())
    /// }
    /// ```
    pub fn on_start<F: Target<Output: Preloaded>>(mut self, job: Job<'_, F>) -> Self {
        self.hooks.start.add(job);
        self
    }

    /// How long each job of [`on_start`](Self::on_start) may take; the worker's [`start_timeout`](Self::start_timeout) does not count
    /// meanwhile. Where nobody says, as long as that.
    pub fn on_start_timeout(mut self, time: Duration) -> Self {
        self.hooks.start_timeout = Some(time);
        self
    }

    /// Runs a job in each worker when it ends of its own accord: it has had its number of jobs, is replaced, or its pool is
    /// joined, shut down or dropped. May be called several times; the jobs run in this order, each whatever became of the one before.
    ///
    /// A worker runs it once, after its last job, if it has become ready. It does not run in a worker that dies or is killed: by
    /// [`kill`](crate::Pool::kill), at the end of a grace, or because the program has died.
    ///
    /// One that fails, panics, ends its process or takes longer than [`on_stop_timeout`](Self::on_stop_timeout) changes nothing about the
    /// worker's end; an [event](Self::on_event) tells of it.
    ///
    /// ```
    /// use mpm::{EventKind, Pool, worker};
    ///
    /// #[worker]
    /// fn flush() -> Result<(), String> {
    ///     Err("the disk is full".to_owned())
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(1).on_stop(flush::job()).on_event(|event| {
    ///         if let EventKind::StopJob { worker, outcome: Err(reason), .. } = &event.kind {
    ///             println!("{worker} has not flushed: {reason}");
    ///         }
    ///     });
    ///     pool.build()?.join();
    ///     Ok(())
    /// }
    /// ```
    pub fn on_stop<F: Target<Output: Preloaded>>(mut self, job: Job<'_, F>) -> Self {
        self.hooks.stop.add_unchecked(&job);
        let take = Arc::new(|_: &str, encoded| decode::<F>(encoded).map_err(|e| e.to_string())?.succeeded());
        self.hooks.takers.0.push(StopTaker { target: F::NAME, wants_result: false, take });
        self
    }

    /// As [`on_stop`](Self::on_stop), of a job that returns anything, and has `take` called with the name of each worker and what the
    /// job returned there, or why it returned nothing. It is called on the pool's thread for callbacks; when
    /// [`join`](crate::Pool::join) and its like return, it has been called for all workers that ran the job.
    ///
    /// In an error the job's number is 0: it is none of the pool's jobs.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::mpsc;
    ///
    /// use mpm::{Pool, worker};
    ///
    /// static SEEN: AtomicU64 = AtomicU64::new(0);
    ///
    /// #[worker]
    /// fn look(n: u64) {
    ///     SEEN.fetch_add(n, Ordering::Relaxed);
    /// }
    ///
    /// #[worker]
    /// fn seen() -> u64 {
    ///     SEEN.load(Ordering::Relaxed)
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let (sums, inbox) = mpsc::channel();
    ///     let collect = move |_worker: &str, sum: Result<u64, _>| sums.send(sum.unwrap()).unwrap();
    ///     let pool = Pool::builder().workers(3).max_jobs(10).on_stop_with(seen::job(), collect).build()?;
    ///     pool.map::<look>(1..=100).for_each(|outcome| outcome.unwrap());
    ///     pool.join();
    ///     assert_eq!(inbox.try_iter().sum::<u64>(), 5050);
    ///     Ok(())
    /// }
    /// ```
    pub fn on_stop_with<F: Target>(
        mut self,
        job: Job<'_, F>,
        take: impl Fn(&str, Result<F::Output, JobError>) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.stop.add_unchecked(&job);
        let take = Arc::new(move |worker: &str, encoded| {
            let outcome = decode::<F>(encoded);
            let told = outcome.as_ref().map(drop).map_err(ToString::to_string);
            take(worker, outcome);
            told
        });
        self.hooks.takers.0.push(StopTaker { target: F::NAME, wants_result: true, take });
        self
    }

    /// How long each job of [`on_stop`](Self::on_stop) may take; a worker that is still at it then is killed. Where nobody says, as long
    /// as the [grace](Self::grace). A [`shutdown`](crate::Pool::shutdown) whose own grace is over before does not wait for it.
    pub fn on_stop_timeout(mut self, time: Duration) -> Self {
        self.hooks.stop_timeout = Some(time);
        self
    }

    /// Has `listener` called with each [`Event`] of the pool: a worker starts, is ready, ends; a start fails; a job ends without a
    /// value; the pool ends. A later call takes the place of an earlier one.
    ///
    /// It is called on the pool's thread for callbacks, for one event after the other, in the order in which they have happened, and
    /// may use the pool in every way. One that panics hurts nobody; one that is slow lags behind, while what it has still to be told takes memory.
    /// When [`join`](crate::Pool::join) and its like return, it has been told all.
    ///
    /// ```
    /// use mpm::{EventKind, Pool, worker};
    ///
    /// #[worker]
    /// fn crash() {
    ///     std::process::exit(3);
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(1).on_event(|event| match &event.kind {
    ///         EventKind::WorkerEnded { worker, reason, jobs, .. } => println!("{worker}: {reason}, {jobs} jobs"),
    ///         _ => println!("{event}"),
    ///     });
    ///     let pool = pool.build()?;
    ///     assert!(pool.run(crash::job()).unwrap_err().is_died());
    ///     pool.join();
    ///     Ok(())
    /// }
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hooks.listener = Some(Arc::new(listener));
        self
    }
}

impl fmt::Debug for HookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookSettings")
            .field("start", &self.start)
            .field("stop", &self.stop)
            .field("start_timeout", &self.start_timeout)
            .field("stop_timeout", &self.stop_timeout)
            .field("listens", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}
