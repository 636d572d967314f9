//! What a pool was asked to be.

use std::time::Duration;

use crate::start::StartMethod;

/// The settings of a pool, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) workers: usize,
    pub(super) queue: usize,
    pub(super) method: StartMethod,
    /// After so many jobs a process is replaced; 0 for never.
    pub(super) max_jobs: u64,
    pub(super) grace: Duration,
    pub(super) start_timeout: Duration,
    /// How long one try at a job may run, where neither the job nor its target says.
    pub(super) timeout: Option<Duration>,
    /// How many CPUs the pool may count on.
    pub(super) budget: usize,
}

impl Settings {
    /// How many CPUs one worker may count on: pools that its jobs make have so many workers where nobody says otherwise.
    pub(super) fn share(&self) -> u32 {
        u32::try_from((self.budget / self.workers.max(1)).max(1)).unwrap_or(u32::MAX)
    }
}

/// How long a worker may take to become ready, unless chosen otherwise: generous, since machines stall.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for Settings {
    fn default() -> Self {
        let (name, grace) = ("mpm".to_owned(), Duration::from_secs(2));
        let (method, start_timeout) = (StartMethod::default(), START_TIMEOUT);
        Self { name, workers: 1, queue: 1024, method, max_jobs: 0, grace, start_timeout, timeout: None, budget: 1 }
    }
}
