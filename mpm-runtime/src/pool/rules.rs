//! What holds for one job: what it asks for itself, else what its target says, else what the pool says. A job for which
//! nothing holds has no rules, and its way is none the longer for those that have.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::cell::Cell;
use super::pin::Pin;
use super::settings::Settings;
use crate::error::Death;
use crate::registry::{JobOptions, Judge, Note, OnDone, Registration, Retry};

/// The rules of one job. All but its tries is fixed at its submission.
#[derive(Default)]
pub(super) struct Rules {
    /// How long one try may run.
    pub(super) timeout: Option<Duration>,
    /// How much CPU time it may use.
    pub(super) cpu_time: Option<Duration>,
    /// How long it may wait for its first start.
    pub(super) expires: Option<Duration>,
    pub(super) retry: Option<Box<Retrying>>,
    /// What is called when it has ended.
    pub(super) on_done: Option<OnDone>,
    /// The higher, the sooner.
    pub(super) priority: i32,
    pub(super) tag: Option<Arc<str>>,
    /// Jobs with the same number go to the same worker. `None` for those that are pinned.
    pub(super) key: Option<u64>,
    /// The place whose worker alone is to run it, if one was named for it.
    pub(super) pin: Option<Pin>,
}

/// A job that may be tried again.
pub(super) struct Retrying {
    pub(super) retry: Retry,
    /// Until the job has ended.
    judge: Mutex<Option<Judge>>,
    /// What it takes for another try: the target's number and the arguments.
    kept: OnceLock<(u32, Box<[u8]>)>,
    /// Touched under the pool's lock only.
    tries: Mutex<Tries>,
}

/// The tries that have failed.
#[derive(Debug, Default)]
pub(super) struct Tries {
    pub(super) failed: u32,
    pub(super) deaths: Vec<Death>,
    /// There is to be no further one.
    pub(super) is_last: bool,
}

/// A time that is no limit.
fn limit(time: Option<Duration>) -> Option<Duration> {
    time.filter(|time| *time != Duration::MAX)
}

impl Rules {
    /// `None` where nothing holds.
    #[inline]
    pub(super) fn of(job: Option<&JobOptions>, target: Option<&Registration>, pool: &Settings) -> Option<Box<Self>> {
        let asks = |target: &Registration| target.timeout.is_some() || target.retries.is_some();
        if job.is_none() && !target.is_some_and(asks) && !pool.has_rules() { None } else { Self::made(job, target, pool) }
    }

    #[inline(never)]
    fn made(job: Option<&JobOptions>, target: Option<&Registration>, pool: &Settings) -> Option<Box<Self>> {
        let timeout = limit(job.and_then(|job| job.timeout).or_else(|| target?.timeout).or(pool.timeout));
        let cpu_time = limit(job.and_then(|job| job.cpu_time).or(pool.cpu_time));
        let expires = limit(job.and_then(|job| job.expires));
        let retry =
            job.and_then(|job| job.retry.clone()).or_else(|| target?.retries.map(Retry::times)).or_else(|| pool.retry.clone());
        let retry = retry.filter(|retry| retry.times > 0).map(|retry| {
            let judge = Mutex::new(job.and_then(|job| job.retry_if.clone()));
            Box::new(Retrying { retry, judge, kept: OnceLock::new(), tries: Mutex::default() })
        });
        let on_done = job.and_then(|job| job.on_done.clone());
        let (priority, tag, key) = job.map_or((0, None, None), |job| (job.priority, job.tag.clone(), job.key));
        let pin = (pool.round_robin && key.is_none()).then(Pin::in_turn);
        let has_limits = timeout.is_some() || cpu_time.is_some() || expires.is_some() || retry.is_some();
        let has_wishes = on_done.is_some() || priority != 0 || tag.is_some() || key.is_some() || pin.is_some();
        let rules = || Self { timeout, cpu_time, expires, retry, on_done, priority, tag, key, pin };
        (has_limits || has_wishes).then(|| Box::new(rules()))
    }

    /// Whether its way through the queue is that of a job without rules.
    pub(super) fn is_plain(&self) -> bool {
        self.priority == 0 && self.key.is_none() && self.pin.is_none()
    }

    /// Why the job cannot be taken, if one of its limits is one that nothing can keep.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        let is_zero = |time: Option<Duration>| time.is_some_and(|time| time.is_zero());
        let limits = [("timeout", self.timeout), ("cpu_time", self.cpu_time), ("expires", self.expires)];
        let text = limits.into_iter().find(|(_, time)| is_zero(*time)).map(|(name, _)| name)?;
        Some(match text {
            "timeout" => "a timeout of zero: it could not end in time; for no limit leave it out, or say Duration::MAX",
            "cpu_time" => "a limit of zero for its CPU time: it could not run; for no limit leave it out, or say Duration::MAX",
            _ => "no time to wait for a worker, by Job::expires(0): none could start it in time",
        })
    }

    /// What its worker is told of the limits.
    pub(super) fn note(&self) -> u32 {
        Note { limit: self.timeout, measures_cpu: self.cpu_time.is_some() }.pack()
    }

    /// How soon after its hand-over a job may have met a limit.
    pub(super) fn soonest(&self) -> Option<Duration> {
        [self.timeout, self.cpu_time].into_iter().flatten().min()
    }

    /// Which try at the job is on, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.retry.as_ref().map_or(1, |retry| retry.tries().failed.saturating_add(1))
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

impl Retrying {
    pub(super) fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The try that was counted last does not come.
    pub(super) fn uncount(&self) {
        let mut tries = self.tries();
        tries.failed = tries.failed.saturating_sub(1);
    }

    /// Whether somebody judges the results.
    pub(super) fn is_judged(&self) -> bool {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What judges the results.
    pub(super) fn judge(&self) -> Option<Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The job has ended: nothing is judged any more.
    pub(super) fn take_judge(&self) -> Option<Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps what another try takes.
    pub(super) fn keep(&self, target: u32, arguments: Vec<u8>) {
        // The first call is the only one.
        let _ = self.kept.set((target, arguments.into()));
    }

    /// What was kept.
    pub(super) fn kept(&self) -> Option<(u32, Vec<u8>)> {
        self.kept.get().map(|(target, arguments)| (*target, arguments.to_vec()))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, cpu_time, expires, retry, priority, tag, key, pin, .. } = self;
        let retry = retry.as_ref().map(|retry| &retry.retry);
        write!(f, "Rules({timeout:?}, {cpu_time:?}, {expires:?}, {retry:?}, {priority}, {tag:?}, {key:?}, {pin:?})")
    }
}
