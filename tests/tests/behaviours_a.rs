//! Behaviours, group A: start methods and process objects. Each is a function of the start method, and so three tests.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;

#[path = "behaviours_a/methods.rs"]
mod methods;

#[path = "behaviours_a/beginnings.rs"]
mod beginnings;
#[path = "behaviours_a/descriptors.rs"]
mod descriptors;
#[path = "behaviours_a/ends.rs"]
mod ends;
#[path = "behaviours_a/exits.rs"]
mod exits;
#[path = "behaviours_a/handles.rs"]
mod handles;
#[path = "behaviours_a/objects.rs"]
mod objects;
#[path = "behaviours_a/pools.rs"]
mod pools;
#[path = "behaviours_a/promised.rs"]
mod promised;
