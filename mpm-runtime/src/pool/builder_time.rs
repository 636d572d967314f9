//! The settings of a pool that are about how long jobs may run, and how often they are tried.

use std::time::Duration;

use super::builder::Builder;
use crate::registry::Retry;

impl Builder {
    /// How long one try at a job may run, from its start, where neither the job nor its target says. What happens then stands at
    /// [`Job::timeout`](crate::Job::timeout). [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.timeout = Some(time);
        self
    }

    /// How much CPU time one try at a job may use, where the job does not say: see [`Job::cpu_time`](crate::Job::cpu_time).
    pub fn cpu_time(mut self, time: Duration) -> Self {
        self.settings.cpu_time = Some(time);
        self
    }

    /// How often, and after which ends, a job may be tried again, where neither the job nor its target says: see
    /// [`Job::retries`](crate::Job::retries).
    ///
    /// Says of all targets of the pool that it does no harm to run them twice.
    pub fn retries(mut self, retry: impl Into<Retry>) -> Self {
        self.settings.retry = Some(retry.into());
        self
    }
}
