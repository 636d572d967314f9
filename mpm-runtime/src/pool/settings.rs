//! What a pool was asked to be.

use std::time::Duration;

use super::limits::Limits;
use super::size::Size;
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
    pub(super) grace: Duration,
    pub(super) start_timeout: Duration,
    /// How long one try at a job may run, where neither the job nor its target says.
    pub(super) timeout: Option<Duration>,
}

/// How long a worker may take to become ready, unless chosen otherwise: generous, since machines stall.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for Settings {
    fn default() -> Self {
        let (name, grace) = ("mpm".to_owned(), Duration::from_secs(2));
        let (size, limits) = (Size::fixed(1), Limits::default());
        let (method, start_timeout) = (StartMethod::default(), START_TIMEOUT);
        Self { name, size, queue: 1024, method, limits, grace, start_timeout, timeout: None }
    }
}
