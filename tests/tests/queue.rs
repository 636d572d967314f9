//! How a pool's queue is steered: what goes first, where it goes, what holds it back, and that whatever happens meanwhile each job has
//! one outcome.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "queue/again.rs"]
mod again;
#[path = "queue/broadcast.rs"]
mod broadcast;
#[path = "queue/keys.rs"]
mod keys;
#[path = "queue/limits.rs"]
mod limits;
#[path = "queue/marks.rs"]
mod marks;
#[path = "queue/order.rs"]
mod order;
#[path = "queue/pause.rs"]
mod pause;
#[path = "queue/storm.rs"]
mod storm;
