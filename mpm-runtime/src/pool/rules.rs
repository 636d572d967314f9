//! What holds for one job: what it asks for itself, else what its target says, else what the pool says. A job for which
//! nothing holds has no rules, and its way is none the longer for those that have.

use std::sync::Arc;
use std::time::Duration;

use super::cell::Cell;
use super::pin::Pin;
use super::settings::Settings;
use crate::registry::{JobOptions, Registration};

/// The rules of one job. Fixed at its submission.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// How long one try may run.
    pub(super) timeout: Option<Duration>,
    /// The higher, the sooner.
    pub(super) priority: i32,
    pub(super) tag: Option<Arc<str>>,
    /// Jobs with the same number go to the same worker. `None` for those that are pinned.
    pub(super) key: Option<u64>,
    /// The place whose worker alone is to run it, if one was named for it.
    pub(super) pin: Option<Pin>,
}

impl Rules {
    /// `None` where nothing holds.
    #[inline]
    pub(super) fn of(job: Option<&JobOptions>, target: Option<&Registration>, pool: &Settings) -> Option<Box<Self>> {
        let timeout = job.and_then(|job| job.timeout).or_else(|| target?.timeout).or(pool.timeout);
        if job.is_none() && timeout.is_none() && !pool.round_robin { None } else { Self::made(job, timeout, pool) }
    }

    #[inline(never)]
    fn made(job: Option<&JobOptions>, timeout: Option<Duration>, pool: &Settings) -> Option<Box<Self>> {
        let (priority, tag, key) = job.map_or((0, None, None), |job| (job.priority, job.tag.clone(), job.key));
        let pin = (pool.round_robin && key.is_none()).then(Pin::in_turn);
        let is_any = timeout.is_some() || priority != 0 || tag.is_some() || key.is_some() || pin.is_some();
        is_any.then(|| Box::new(Self { timeout, priority, tag, key, pin }))
    }

    /// Whether its way through the queue is that of a job without rules.
    pub(super) fn is_plain(&self) -> bool {
        self.priority == 0 && self.key.is_none() && self.pin.is_none()
    }
}

impl Cell {
    pub(super) fn priority(&self) -> i32 {
        self.rules.as_ref().map_or(0, |rules| rules.priority)
    }

    pub(super) fn tag(&self) -> Option<&Arc<str>> {
        self.rules.as_ref()?.tag.as_ref()
    }

    pub(super) fn pin(&self) -> Option<&Pin> {
        self.rules.as_ref()?.pin.as_ref()
    }
}
