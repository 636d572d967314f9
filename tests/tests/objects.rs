//! Objects that live in workers: built once for each worker and key, kept, dropped in the end; and all that can go wrong with that, for
//! each start method where it can differ.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "objects/arguments.rs"]
mod arguments;
#[path = "objects/builds.rs"]
mod builds;
#[path = "objects/copies.rs"]
mod copies;
#[path = "objects/ends.rs"]
mod ends;
#[path = "objects/panics.rs"]
mod panics;
#[path = "objects/preload.rs"]
mod preload;
#[path = "objects/reuse.rs"]
mod reuse;
#[path = "objects/short.rs"]
mod short;
#[path = "objects/witness.rs"]
mod witness;
