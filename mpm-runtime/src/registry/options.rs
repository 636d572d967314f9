//! What a job asks for beyond being run: the methods of [`Job`] that say so, and where it is kept. A job that asks for nothing
//! carries nothing.

use std::sync::Arc;
use std::time::Duration;

use super::job::Job;
use super::target::Target;

/// What a job asks for; what it leaves open its target says, or else the pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobOptions {
    /// How long one try may run.
    pub(crate) timeout: Option<Duration>,
    /// The higher, the sooner.
    pub(crate) priority: i32,
    pub(crate) tag: Option<Arc<str>>,
    /// Jobs with the same number go to the same worker.
    pub(crate) key: Option<u64>,
}

impl<F: Target> Job<'_, F> {
    /// How long the job may run, from the moment at which a worker starts it. It wins over its target's `timeout` and
    /// over the pool's.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options_mut().timeout = Some(time);
        self
    }
}
