//! How a job went, in plain numbers and names.

use std::time::Duration;

/// How a job went, or how far it has come. Times are durations of the monotonic clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The job's id, unique in its pool.
    pub job: u64,
    /// The name of its target.
    pub target: &'static str,
    /// What [`Job::tag`](crate::Job::tag) has named it.
    pub tag: Option<std::sync::Arc<str>>,
    /// The name of the worker that has it, or had it when it ended.
    pub worker: Option<String>,
    /// That worker's process id.
    pub pid: Option<u32>,
    /// Which try at the job this is, from 1; while it waits for a further one, that. Of a job that was taken back, the last one that it had.
    pub attempt: u32,
    /// How long it waited before it ran, or has waited if it has not ended.
    pub queued: Duration,
    /// How long it ran, once it has ended.
    pub ran: Option<Duration>,
}
