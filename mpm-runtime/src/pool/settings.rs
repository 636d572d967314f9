//! What a pool was asked to be.

use std::time::Duration;

use super::limit::TargetLimits;
use super::limits::Limits;
use super::size::Size;
use crate::registry::Retry;
use crate::start::StartMethod;

/// The settings of a pool, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) size: Size,
    pub(super) queue: usize,
    pub(super) method: StartMethod,
    /// Those that the pool begins with.
    pub(super) limits: Limits,
    /// So many objects a process keeps.
    pub(super) objects: usize,
    pub(super) grace: Duration,
    pub(super) start_timeout: Duration,
    /// How long one try at a job may run, where neither the job nor its target says.
    pub(super) timeout: Option<Duration>,
    /// How much CPU time it may use, where the job does not say.
    pub(super) cpu_time: Option<Duration>,
    /// How it may be tried again, where neither the job nor its target says.
    pub(super) retry: Option<Retry>,
    /// How many CPUs this process has.
    pub(super) cpus: usize,
    /// How many of them the pool may count on.
    pub(super) budget: usize,
    /// Those of single targets.
    pub(super) target_limits: Vec<TargetLimits>,
    /// Jobs go to the workers in turn.
    pub(super) round_robin: bool,
}

impl Settings {
    /// Whether the pool says something about each job.
    pub(super) fn has_rules(&self) -> bool {
        self.timeout.is_some() || self.cpu_time.is_some() || self.retry.is_some() || self.round_robin
    }

    /// How many CPUs one worker may count on: pools that its jobs make have so many workers where nobody says otherwise.
    pub(super) fn share(&self) -> u32 {
        u32::try_from((self.budget / self.size.most.max(1)).max(1)).unwrap_or(u32::MAX)
    }
}

/// How long a worker may take to become ready, unless chosen otherwise: generous, since machines stall.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How many objects a worker keeps, unless chosen otherwise.
const OBJECTS: usize = 16;

impl Default for Settings {
    fn default() -> Self {
        let (name, grace) = ("mpm".to_owned(), Duration::from_secs(2));
        let (size, limits) = (Size::fixed(1), Limits::default());
        let (method, start_timeout) = (StartMethod::default(), START_TIMEOUT);
        Self {
            name,
            size,
            queue: 1024,
            method,
            limits,
            objects: OBJECTS,
            grace,
            start_timeout,
            timeout: None,
            cpu_time: None,
            retry: None,
            cpus: 1,
            budget: 1,
            target_limits: Vec::new(),
            round_robin: false,
        }
    }
}
