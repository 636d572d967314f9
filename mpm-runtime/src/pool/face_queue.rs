//! The pool's queue, as its user steers it while the pool runs.

use super::face::Pool;

impl Pool {
    /// Hands out no more jobs, until [`resume`](Self::resume). Jobs that a worker has started go on; those that were handed out ahead of
    /// time are taken back, so that when this returns nothing starts any more.
    ///
    /// Jobs can be submitted as before; when the queue is full, `submit` waits for the end of the pause. Who waits for a job
    /// that has not started waits as well. [`join`](Self::join), [`shutdown`](Self::shutdown) and [`kill`](Self::kill) end the pause: a
    /// pool that is joined runs what it has. Of a pool that has ended or failed nothing can be paused.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// # #[worker]
    /// # fn double(n: u32) -> u32 { 2 * n }
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// pool.pause();
    /// let job = pool.submit(double::job(21))?; // waits
    /// assert!(pool.is_paused());
    /// pool.resume();
    /// assert_eq!(job.wait()?, 42);
    /// # Ok(()) }
    /// ```
    pub fn pause(&self) {
        if !self.shared.is_copy() {
            self.shared.with_core(|core| core.pause());
        }
    }

    /// Hands out jobs again, after [`pause`](Self::pause). A pool that is not paused goes on as it does.
    pub fn resume(&self) {
        if !self.shared.is_copy() {
            self.shared.with_core(|core| {
                core.resume();
                core.dispatch();
            });
        }
    }

    /// Whether the pool is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        !self.shared.is_copy() && self.shared.lock().is_paused()
    }

    /// Takes back all jobs with this [tag](crate::Job::tag) that no worker has started: they will never run, and their outcome is
    /// [`JobError::Cancelled`](crate::JobError::Cancelled). Returns how many that were. Those that run go on.
    ///
    /// ```
    /// # use mpm::{Pool, worker};
    /// # #[worker]
    /// # fn page(number: u32) -> u32 { number }
    /// # #[mpm::main]
    /// # fn main() -> mpm::Result<()> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// pool.pause(); // so that none of them starts here
    /// let pages: Vec<_> = (0..9).map(|n| pool.submit(page::job(n).tag("report 7")).unwrap()).collect();
    /// assert_eq!(pool.cancel_tagged("report 7"), 9);
    /// for page in pages {
    ///     assert!(page.wait().unwrap_err().is_cancelled());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel_tagged(&self, tag: &str) -> usize {
        if self.shared.is_copy() {
            return 0;
        }
        self.shared.with_core(|core| {
            let count = core.cancel_tagged(tag);
            core.dispatch();
            count
        })
    }
}
