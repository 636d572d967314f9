//! Behaviours, group K: orphans, signals, and what a worker inherits, for each start method. Its neighbours: `nesting` has 153 to 155,
//! `signals` 158.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "behaviours_k/helpers.rs"]
mod helpers;
#[path = "behaviours/jobs.rs"]
mod jobs;
#[path = "behaviours_k/nested.rs"]
mod nested;
#[path = "behaviours_k/orphans.rs"]
mod orphans;
#[path = "behaviours_k/signals.rs"]
mod signals;
#[path = "behaviours_k/started.rs"]
mod started;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;
