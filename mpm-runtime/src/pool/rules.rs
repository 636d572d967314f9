//! What holds for one job: what it asks for itself, else what its target says, else what the pool says. A job for which
//! nothing holds has no rules, and its way is none the longer for those that have.

use std::time::Duration;

use super::settings::Settings;
use crate::registry::{JobOptions, OnDone, Registration};

/// The rules of one job. Fixed at its submission.
#[derive(Debug)]
pub(super) struct Rules {
    /// How long one try may run.
    pub(super) timeout: Option<Duration>,
    /// What is called when it has ended.
    pub(super) on_done: Option<OnDone>,
}

impl Rules {
    /// `None` where nothing holds.
    pub(super) fn of(job: Option<&JobOptions>, target: Option<&Registration>, pool: &Settings) -> Option<Box<Self>> {
        let timeout = job.and_then(|job| job.timeout).or_else(|| target?.timeout).or(pool.timeout);
        let on_done = job.and_then(|job| job.on_done.clone());
        (timeout.is_some() || on_done.is_some()).then(|| Box::new(Self { timeout, on_done }))
    }
}
