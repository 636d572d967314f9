//! The pool's limits and size, as its user changes them while it runs.

use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use super::face::Pool;
use super::limits::Limits;
use super::size::{Size, WorkerCount};
use crate::error::{Error, Kind, Result};
use crate::link::sync::Ordering;
use crate::start::next_ticket;

impl Pool {
    /// What the workers may become before they are replaced, as it is now.
    pub fn limits(&self) -> Limits {
        if self.shared.is_copy() { self.shared.settings.limits.clone() } else { self.shared.lock().limits.clone() }
    }

    /// Sets other limits, which hold from now on: who exceeds them already is replaced, a share at a time. Of a worker that has a job, the
    /// memory counts that it holds after that. One that has been given its number of jobs at its start gets no more than those.
    ///
    /// # Errors
    /// When a limit makes no sense. Then nothing is changed.
    pub fn set_limits(&self, limits: Limits) -> Result<()> {
        limits.check("Limits")?;
        self.refuse_in_copy()?;
        self.shared.counts_jobs.store(limits.max_jobs.is_some(), Ordering::Relaxed);
        self.shared.with_core(|core| core.set_limits(limits));
        Ok(())
    }

    /// How many workers the pool has at least and at most.
    pub fn size(&self) -> RangeInclusive<usize> {
        let size = if self.shared.is_copy() { self.shared.settings.size } else { self.shared.lock().size };
        size.least..=size.most
    }

    /// Gives the pool another number of workers, or another range. It returns at once.
    ///
    /// New workers are started now. Where there are too many, those go first that have nothing to do; no job is cut short: a worker
    /// that has one leaves after it, and stays if the pool has grown again by then. Jobs that it has not begun go elsewhere.
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
    ///     let pool = Pool::builder().workers(1).build()?;
    ///     pool.resize(3)?;
    ///     assert_eq!(pool.map::<square>(0..100).filter(Result::is_ok).count(), 100);
    ///     pool.resize(0..=2)?; // none while there is nothing to do
    ///     assert_eq!(pool.run(square::job(5))?, 25);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When a pool cannot have so many workers: from 1 to 4096, or a range that ends there; a range not with
    /// [`round_robin`](crate::Builder::round_robin).
    pub fn resize(&self, workers: impl Into<WorkerCount>) -> Result<()> {
        let size = Size::checked("Pool::resize", workers.into(), self.shared.settings.round_robin)?;
        self.refuse_in_copy()?;
        self.shared.most_workers.store(u32::try_from(size.most).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.shared.with_core(|core| {
            core.set_size(size);
            core.fit(Instant::now());
            core.survey();
            core.dispatch();
        });
        Ok(())
    }

    /// Replaces all workers that there are now by fresh ones, a [share](crate::Builder::recycle_share) at a time. It returns at once;
    /// [`wait_restarted`](Self::wait_restarted) waits.
    ///
    /// No job is lost, cut short, or has to wait for a start: each worker goes on until its successor is ready. Templates stay as they
    /// are, and so does what they have preloaded.
    pub fn restart(&self) {
        if !self.shared.is_copy() {
            self.shared.with_core(|core| core.restart(next_ticket()));
        }
    }

    /// Waits until all workers have ended that [`restart`](Self::restart) is to replace; returns at once where it was never called.
    ///
    /// # Errors
    /// When the pool ends or fails before, so that some are not replaced.
    pub fn wait_restarted(&self) -> Result<()> {
        self.refuse_in_copy()?;
        if thread::current().id() == self.supervisor_id {
            return Err(Error::new(Kind::Closed, "Pool::wait_restarted: called by the thread that replaces the workers"));
        }
        let shared = &self.shared;
        let mut core = shared.lock();
        core.restart_waiters += 1;
        let result = loop {
            if let Some(reason) = &core.failed {
                break Err(Error::new(Kind::Failed, reason.to_string()));
            }
            if core.ending.is_some() || core.ended {
                break Err(Error::new(Kind::Closed, "Pool::wait_restarted: the pool ended before all workers were replaced"));
            }
            if !core.is_restarting() {
                break Ok(());
            }
            core = shared.ended.wait(core).unwrap_or_else(PoisonError::into_inner);
        };
        core.restart_waiters -= 1;
        result
    }

    fn refuse_in_copy(&self) -> Result<()> {
        match self.shared.check_owner() {
            Ok(()) => Ok(()),
            Err(refusal) => Err(Error::new(Kind::Failed, refusal.to_string())),
        }
    }
}
