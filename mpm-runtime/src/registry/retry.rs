//! How often a job may be tried again, after which ends, and how soon.

use std::time::Duration;

/// How often a job may be tried again, after which ends, and how soon: for [`Job::retries`](crate::Job::retries) and
/// [`Builder::retries`](crate::Builder::retries).
///
/// A job is tried again when its worker died with it and when it ran too long; a panic is tried again where [`on_panic`](Self::on_panic)
/// says so, a returned value where [`Job::retry_if`](crate::Job::retry_if) does. What cannot be encoded or decoded never is, nor
/// is a job that was cancelled.
///
/// ```
/// use std::time::Duration;
///
/// use mpm::Retry;
///
/// let patient = Retry::times(5).backoff(Duration::from_millis(200), Duration::from_secs(10)).on_panic(true);
/// let twice = Retry::from(2);
/// # let _ = (patient, twice);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it says something only to `retries`"]
pub struct Retry {
    pub(crate) times: u32,
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) on_death: bool,
    pub(crate) on_timeout: bool,
    pub(crate) on_panic: bool,
    pub(crate) poison_after: u32,
}

impl Retry {
    /// At most so many more tries after the first one; 0 for none.
    pub const fn times(times: u32) -> Self {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(10));
        Self { times, first, longest, on_death: true, on_timeout: true, on_panic: false, poison_after: 3 }
    }

    /// How long a job waits before its second try, by default 50 milliseconds; before each further one it is twice as long, up to
    /// `longest`, by default 10 seconds. Of each wait half is random, so that jobs that failed together do not come back
    /// together ("equal jitter": Brooker, "Exponential Backoff And Jitter", 2015).
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Whether it is tried again when its worker died with it; by default it is.
    pub const fn on_death(mut self, again: bool) -> Self {
        self.on_death = again;
        self
    }

    /// Whether it is tried again when it ran too long; by default it is.
    pub const fn on_timeout(mut self, again: bool) -> Self {
        self.on_timeout = again;
        self
    }

    /// Whether it is tried again when it panicked; by default it is not.
    pub const fn on_panic(mut self, again: bool) -> Self {
        self.on_panic = again;
        self
    }

    /// After how many dead workers a job is not tried again, however many tries it has left: by default 3, and at least 1. It
    /// then ends as [`JobError::Poisoned`](crate::JobError::Poisoned), with the reports of all of them.
    pub const fn poison_after(mut self, deaths: u32) -> Self {
        self.poison_after = if deaths == 0 { 1 } else { deaths };
        self
    }
}

impl From<u32> for Retry {
    fn from(times: u32) -> Self {
        Self::times(times)
    }
}
