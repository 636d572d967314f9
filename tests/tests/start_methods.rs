//! Attacks on the start methods: templates that are killed or stopped, parents that die, preload jobs that misbehave, limits,
//! hostile jobs. Nothing hangs, nothing is left behind, and every job has one outcome.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "start/orphans.rs"]
mod orphans;
#[path = "start/patience.rs"]
mod patience;
#[path = "start/pools.rs"]
mod pools;
#[path = "start/template.rs"]
mod template;
#[path = "start/wants.rs"]
mod wants;
