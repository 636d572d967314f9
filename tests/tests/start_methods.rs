//! Attacks on the start methods: templates that are killed or stopped, parents that die, preload jobs that misbehave, limits,
//! hostile jobs. Nothing hangs, nothing is left behind, and every job has one outcome.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "start/copies.rs"]
mod copies;
#[path = "start/hostile.rs"]
mod hostile;
#[path = "start/job_limit.rs"]
mod job_limit;
#[path = "start/kills.rs"]
mod kills;
#[path = "start/leaks.rs"]
mod leaks;
#[path = "start/limits.rs"]
mod limits;
#[path = "start/orphans.rs"]
mod orphans;
#[path = "start/patience.rs"]
mod patience;
#[path = "start/pools.rs"]
mod pools;
#[path = "start/preload.rs"]
mod preload;
#[path = "start/template.rs"]
mod template;
#[path = "start/wants.rs"]
mod wants;
