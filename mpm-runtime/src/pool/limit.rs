//! What holds back the jobs of one target: how many run at once, how many start in a span of time.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::policy_limits::{MOST, Window};
use crate::error::{Error, Kind, Result};
use crate::registry::{Registry, Target, UnknownTarget};

/// The limits of one target as the builder has them.
#[derive(Clone, Debug)]
pub(super) struct TargetLimits {
    name: &'static str,
    index: fn(&'static Registry) -> std::result::Result<u32, UnknownTarget>,
    /// Its place in the registry, once that is known.
    target: u32,
    pub(super) at_once: Option<usize>,
    pub(super) rate: Option<(u32, Duration)>,
}

impl TargetLimits {
    /// The entry of `F`, which is made if it is not there.
    pub(super) fn of<F: Target>(all: &mut Vec<Self>) -> &mut Self {
        let at = all.iter().position(|limits| limits.name == F::NAME).unwrap_or_else(|| {
            all.push(Self { name: F::NAME, index: Registry::index_of::<F>, target: u32::MAX, at_once: None, rate: None });
            all.len() - 1
        });
        &mut all[at]
    }

    #[cfg(test)]
    pub(super) fn for_tests(name: &'static str, target: u32, at_once: Option<usize>, rate: Option<(u32, Duration)>) -> Self {
        Self { name, index: |_| Ok(0), target, at_once, rate }
    }

    /// Whether they are those of `F`.
    pub(super) fn are_of<F: Target>(&self) -> bool {
        self.name == F::NAME
    }

    /// Checks them, and finds their target.
    pub(super) fn resolve(&mut self, registry: &'static Registry) -> Result<()> {
        let name = self.name;
        let refuse = |setting: &str, reason: &str| Err(Error::new(Kind::Setting, format!("Builder::{setting}::<{name}>{reason}")));
        if self.at_once == Some(0) {
            return refuse("limit_concurrency", "(0): no job would ever run");
        }
        match self.rate {
            Some((0, _)) => return refuse("limit_rate", "(0, …): no job would ever run"),
            Some((jobs, _)) if jobs > MOST => {
                return refuse("limit_rate", &format!("({jobs}, …): at most {MOST} in a span; make the span shorter"));
            }
            Some((_, Duration::ZERO)) => return refuse("limit_rate", "(…, 0): a span of time has some length"),
            _ => {}
        }
        let setting = if self.at_once.is_some() { "limit_concurrency" } else { "limit_rate" };
        match (self.index)(registry) {
            Ok(target) => self.target = target,
            Err(error) => return refuse(setting, &format!(": {error}")),
        }
        Ok(())
    }
}

/// Jobs that have ended and are remembered for no use, at most.
const SOME: usize = 64;

/// The limits of one target at work.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) target: u32,
    name: &'static str,
    at_once: Option<usize>,
    /// The jobs that workers have, and some of those that have ended since this was last looked through.
    held: Vec<Weak<Cell>>,
    /// How many were left then.
    left: usize,
    window: Option<Window>,
    /// Whether one more job may be handed out, as it was last looked at; else, where it is a matter of time, when.
    pub(super) is_open: bool,
    pub(super) opens_at: Option<Instant>,
}

impl Limit {
    pub(super) fn new(limits: &TargetLimits) -> Self {
        let window = limits.rate.map(|(jobs, span)| Window::new(jobs, span));
        Self {
            target: limits.target,
            name: limits.name,
            at_once: limits.at_once,
            held: Vec::new(),
            left: 0,
            window,
            is_open: true,
            opens_at: None,
        }
    }

    /// Whether it is that of a job's target.
    pub(super) fn is_of(&self, cell: &Cell) -> bool {
        self.name == cell.target
    }

    /// Whether its jobs go to idle workers alone, so that one that is handed out starts.
    pub(super) fn is_timed(&self) -> bool {
        self.window.is_some()
    }

    /// Looks whether one more job may be handed out.
    pub(super) fn look(&mut self, now: Instant) {
        let most = self.at_once.unwrap_or(usize::MAX);
        if self.held.len() >= most.min(2 * self.left + SOME) {
            self.held.retain(|job| job.upgrade().is_some_and(|cell| !cell.is_finished()));
            self.left = self.held.len();
        }
        let has_room = self.held.len() < most;
        self.opens_at = self.window.as_mut().and_then(|window| window.closed_until(now)).filter(|_| has_room);
        self.is_open = has_room && self.opens_at.is_none();
    }

    /// A worker gets the job.
    pub(super) fn enter(&mut self, now: Instant, cell: &Arc<Cell>) {
        if self.at_once.is_some() {
            self.held.push(Arc::downgrade(cell));
        }
        if let Some(window) = &mut self.window {
            window.enter(now, cell.id());
        }
        self.look(now);
    }

    /// The worker has the job no more, which had started.
    pub(super) fn release(&mut self, cell: &Arc<Cell>) {
        self.held.retain(|job| !std::ptr::eq(job.as_ptr(), Arc::as_ptr(cell)));
    }

    /// The job came back before it had started.
    pub(super) fn leave(&mut self, cell: &Arc<Cell>) {
        self.release(cell);
        if let Some(window) = &mut self.window {
            window.leave(cell.id());
        }
    }
}
