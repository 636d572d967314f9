//! The targets of this program. What `#[worker]` submits enters before `main`; a sorted table leaves, the same in every
//! process of one program, in which a target is found by its name or by its place.
//!
//! Invariant: nothing here runs a job.

mod job;
mod lookup;
mod options;
mod queueing;
mod registration;
mod target;
#[cfg(test)]
mod tests;
mod unknown;

pub use job::Job;
pub use lookup::Registry;
pub(crate) use options::JobOptions;
pub use registration::Registration;
pub use target::{Index, Target};
pub use unknown::{DuplicateTarget, UnknownTarget};
