//! What a job asks for beyond being run: the methods of [`Job`] that say so, and where it is kept. A job that asks for nothing
//! carries nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::done::OnDone;
use super::job::Job;
use super::retry::Retry;
use super::target::Target;

/// Whether the encoded result of a job is one after which the job is to be tried again.
pub(crate) type Judge = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What a job asks for; what it leaves open its target says, or else the pool.
#[derive(Clone, Default)]
pub(crate) struct JobOptions {
    /// How long one try may run.
    pub(crate) timeout: Option<Duration>,
    /// How much CPU time one try may use.
    pub(crate) cpu_time: Option<Duration>,
    /// How long it may wait for its start.
    pub(crate) expires: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) retry_if: Option<Judge>,
    /// What is called when it has ended.
    pub(crate) on_done: Option<OnDone>,
    /// The higher, the sooner.
    pub(crate) priority: i32,
    pub(crate) tag: Option<Arc<str>>,
    /// Jobs with the same number go to the same worker.
    pub(crate) key: Option<u64>,
}

impl fmt::Debug for JobOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, cpu_time, expires, retry, retry_if, on_done, priority, tag, key } = self;
        let mut shown = f.debug_struct("JobOptions");
        shown.field("timeout", timeout).field("cpu_time", cpu_time).field("expires", expires).field("retry", retry);
        shown.field("retry_if", &retry_if.is_some()).field("on_done", &on_done.is_some());
        shown.field("priority", priority).field("tag", tag).field("key", key).finish()
    }
}

impl<F: Target> Job<'_, F> {
    /// How long one try at the job may run, from the moment at which a worker starts it. It wins over its target's `timeout`
    /// and over [the pool's](crate::Builder::timeout), and [`Duration::MAX`] lifts those.
    ///
    /// When it is over, the job is asked to end: [`Current::is_cancelled`](crate::Current::is_cancelled) and
    /// [`Current::checkpoint`](crate::Current::checkpoint) tell it. After half the pool's [grace](crate::Builder::grace)
    /// its worker's process group gets SIGTERM, after all of it SIGKILL. A value that the job returns before that counts. A job
    /// that tells of its [progress](crate::Current::progress) gets the whole time anew each time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use mpm::{Pool, worker};
    ///
    /// #[worker]
    /// fn spin_for_ever() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(1).grace(Duration::from_millis(20)).build()?;
    ///     let error = pool.run(spin_for_ever::job().timeout(Duration::from_millis(10))).unwrap_err();
    ///     assert!(error.is_timed_out());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The submission refuses a time of zero.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options_mut().timeout = Some(time);
        self
    }

    /// How much CPU time, of all threads of its worker together, one try at the job may use. Then it ends as by
    /// [`timeout`](Self::timeout). It is looked at from outside, so that a job may use some milliseconds for each CPU more.
    pub fn cpu_time(mut self, time: Duration) -> Self {
        self.options_mut().cpu_time = Some(time);
        self
    }

    /// How long the job may wait, from its submission, for a worker to start it. One that has not been started by then never
    /// will be: it ends as [`JobError::Expired`](crate::JobError::Expired). A job that is tried again does not expire.
    pub fn expires(mut self, time: Duration) -> Self {
        self.options_mut().expires = Some(time);
        self
    }

    /// How often, and after which ends, the job may be tried again: a number of times, or a [`Retry`] that says more. It wins
    /// over its target's `retries` and over [the pool's](crate::Builder::retries).
    ///
    /// Says that it does no harm to run the job twice.
    ///
    /// ```
    /// use mpm::{Pool, worker};
    ///
    /// /// Dies at its first try.
    /// #[worker]
    /// fn shaky() -> u32 {
    ///     let attempt = mpm::current().attempt();
    ///     if attempt == 1 {
    ///         std::process::abort();
    ///     }
    ///     attempt
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(1).build()?;
    ///     assert_eq!(pool.run(shaky::job().retries(2))?, 2);
    ///     assert!(pool.run(shaky::job()).unwrap_err().is_died());
    ///     Ok(())
    /// }
    /// ```
    pub fn retries(mut self, retry: impl Into<Retry>) -> Self {
        self.options_mut().retry = Some(retry.into());
        self
    }

    /// Tries the job again also after a result for which `again` is true, an `Err` for instance, as often as
    /// [`retries`](Self::retries) says. A result that cannot be decoded, or for which `again` panics, counts as the job's outcome.
    ///
    /// `again` is called on a thread of the pool's, for one result after the other: a slow one delays the end of other jobs that
    /// have one, and nothing else. It may use the pool. It may not wait for its own job, nor for another one that is judged; and as the end of the
    /// pool waits for it, [`join`](crate::Pool::join) and its like begin that end there, and return at once.
    pub fn retry_if(mut self, again: impl Fn(&F::Output) -> bool + Send + Sync + 'static) -> Self {
        let judge = move |bytes: &[u8]| F::decode_output(Cow::Borrowed(bytes)).is_ok_and(|value| again(&value));
        self.options_mut().retry_if = Some(Arc::new(judge));
        self
    }
}
