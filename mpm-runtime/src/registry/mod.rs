//! The targets of this program. What `#[worker]` submits enters before `main`; a sorted table leaves, the same in every
//! process of one program, in which a target is found by its name or by its place.
//!
//! Invariant: nothing here runs a job.

mod done;
mod job;
mod lookup;
mod options;
mod registration;
mod report;
mod target;
#[cfg(test)]
mod tests;
mod unknown;

pub use done::Done;
pub(crate) use done::{Encoded, OnDone};
pub use job::Job;
pub use lookup::Registry;
pub(crate) use options::JobOptions;
pub use registration::Registration;
pub use report::Report;
pub use target::{Index, Target};
pub use unknown::{DuplicateTarget, UnknownTarget};
