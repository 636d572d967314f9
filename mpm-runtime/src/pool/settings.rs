//! What a pool was asked to be.

use std::time::Duration;

use super::limit::Limits;
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
    /// Those of single targets.
    pub(super) limits: Vec<Limits>,
    /// Jobs go to the workers in turn.
    pub(super) round_robin: bool,
}

/// How long a worker may take to become ready, unless chosen otherwise: generous, since machines stall.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for Settings {
    fn default() -> Self {
        let (name, grace) = ("mpm".to_owned(), Duration::from_secs(2));
        let (method, start_timeout) = (StartMethod::default(), START_TIMEOUT);
        let (timeout, limits, round_robin) = (None, Vec::new(), false);
        Self { name, workers: 1, queue: 1024, method, max_jobs: 0, grace, start_timeout, timeout, limits, round_robin }
    }
}
