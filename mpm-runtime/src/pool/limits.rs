//! What workers may become before they are replaced, and how a pool deals with those that stand still or are of no use.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// What the workers of a pool may become, and what is done about those that have become it.
///
/// A pool gets them from its builder. [`Pool::limits`](crate::Pool::limits) gives them back, and
/// [`Pool::set_limits`](crate::Pool::set_limits) sets others while the pool runs.
///
/// ```
/// use std::time::Duration;
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = mpm::Pool::builder().workers(2).max_jobs(5_000).build()?;
///     let mut limits = pool.limits();
///     limits.max_jobs = None;
///     limits.max_age = Some(Duration::from_secs(3600));
///     pool.set_limits(limits)?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How many jobs a worker gets; `None` for no end. See [`Builder::max_jobs`](crate::Builder::max_jobs).
    pub max_jobs: Option<u64>,
    /// By what share of `max_jobs` some workers get more. See [`Builder::max_jobs_jitter`](crate::Builder::max_jobs_jitter).
    pub max_jobs_jitter: f64,
    /// How old a worker gets. See [`Builder::max_age`](crate::Builder::max_age).
    pub max_age: Option<Duration>,
    /// How long a worker may have nothing to do, where the pool has more than it has to. See
    /// [`Builder::max_idle`](crate::Builder::max_idle).
    pub max_idle: Option<Duration>,
    /// How many bytes a worker may hold after a job. See [`Builder::max_rss`](crate::Builder::max_rss).
    pub max_rss: Option<u64>,
    /// How many bytes a worker may hold at all. See [`Builder::max_rss_hard`](crate::Builder::max_rss_hard).
    pub max_rss_hard: Option<u64>,
    /// What share of the workers is being replaced at a time. See [`Builder::recycle_share`](crate::Builder::recycle_share).
    pub recycle_share: f64,
    /// How long a worker may stand still. See [`Builder::unresponsive`](crate::Builder::unresponsive).
    pub unresponsive: Option<Duration>,
    /// So many workers may be of no use within such a time. See [`Builder::restart_limit`](crate::Builder::restart_limit).
    pub restart_limit: Option<(u32, Duration)>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_jobs: None,
            max_jobs_jitter: 0.0,
            max_age: None,
            max_idle: Some(SECOND.saturating_mul(10)),
            max_rss: None,
            max_rss_hard: None,
            recycle_share: 0.25,
            // A healthy worker takes a job within microseconds; a machine that swaps may keep it for seconds.
            unresponsive: Some(SECOND.saturating_mul(10)),
            restart_limit: None,
        }
    }
}

impl Limits {
    /// How long a worker may stand still; `None` for as long as it likes.
    pub(super) fn unresponsive(&self) -> Option<Duration> {
        self.unresponsive.filter(|time| *time != Duration::MAX)
    }

    /// Whether they make sense; the message begins with `whose` they are.
    pub(super) fn check(&self, whose: &str) -> Result<()> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        let is_zero = |time: Option<Duration>| time.is_some_and(|time| time.is_zero());
        let complaint = if self.max_jobs == Some(0) {
            "max_jobs(0): a worker has one job at least; leave it out for no limit"
        } else if !is_share(self.max_jobs_jitter) {
            "max_jobs_jitter: a share is from 0 to 1"
        } else if is_zero(self.max_age) {
            "max_age(0): no worker would come to a job"
        } else if is_zero(self.max_idle) {
            "max_idle(0): no worker would wait for a job"
        } else if self.max_rss == Some(0) {
            "max_rss(0): a process holds some memory"
        } else if self.max_rss_hard == Some(0) {
            "max_rss_hard(0): a process holds some memory"
        } else if !is_share(self.recycle_share) {
            "recycle_share: a share is from 0 to 1"
        } else if is_zero(self.unresponsive) {
            "unresponsive(0): no worker takes a job in no time"
        } else if self.restart_limit.is_some_and(|(_, per)| per.is_zero()) {
            "restart_limit: nothing happens within no time"
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::Setting, format!("{whose}::{complaint}")))
    }

    /// How many bytes a worker may hold after a job: what it may not hold at all it may not keep either.
    pub(super) fn max_size(&self) -> Option<u64> {
        [self.max_rss, self.max_rss_hard].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_without_sense_are_refused_by_name() {
        let limits = Limits::default;
        let (zero, some) = (Some(Duration::ZERO), Some(SECOND));
        let refused = [
            (Limits { max_jobs: Some(0), ..limits() }, "max_jobs(0)"),
            (Limits { max_jobs_jitter: f64::NAN, ..limits() }, "max_jobs_jitter"),
            (Limits { max_jobs_jitter: -0.1, ..limits() }, "max_jobs_jitter"),
            (Limits { max_jobs_jitter: 1.1, ..limits() }, "max_jobs_jitter"),
            (Limits { max_age: zero, ..limits() }, "max_age(0)"),
            (Limits { max_idle: zero, ..limits() }, "max_idle(0)"),
            (Limits { max_rss: Some(0), ..limits() }, "max_rss(0)"),
            (Limits { max_rss_hard: Some(0), ..limits() }, "max_rss_hard(0)"),
            (Limits { recycle_share: f64::INFINITY, ..limits() }, "recycle_share"),
            (Limits { unresponsive: zero, ..limits() }, "unresponsive(0)"),
            (Limits { restart_limit: Some((3, Duration::ZERO)), ..limits() }, "restart_limit"),
        ];
        for (limits, word) in refused {
            let error = limits.check("Builder").unwrap_err();
            assert!(error.is_setting() && error.to_string().starts_with(&format!("Builder::{word}")), "{error}");
        }
        let taken = [
            limits(),
            Limits { max_jobs: Some(1), max_jobs_jitter: 1.0, max_age: some, max_idle: None, recycle_share: 0.0, ..limits() },
            Limits { unresponsive: Some(Duration::MAX), restart_limit: Some((0, SECOND)), ..limits() },
        ];
        taken.iter().for_each(|limits| limits.check("Builder").unwrap());
    }

    #[test]
    fn the_lower_limit_of_memory_holds_after_a_job() {
        let table = [(None, None, None), (Some(3), None, Some(3)), (None, Some(4), Some(4)), (Some(5), Some(4), Some(4))];
        for (max_rss, max_rss_hard, expected) in table {
            assert_eq!(Limits { max_rss, max_rss_hard, ..Limits::default() }.max_size(), expected);
        }
    }
}
