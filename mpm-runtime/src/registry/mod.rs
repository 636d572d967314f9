//! The targets of this program. What `#[worker]` submits enters before `main`; a sorted table leaves, the same in every
//! process of one program, in which a target is found by its name or by its place.
//!
//! Invariant: nothing here runs a job.

mod constructor;
mod job;
mod lookup;
mod object;
mod registration;
mod short;
mod target;
#[cfg(test)]
mod tests;
mod unknown;

pub use constructor::{Constructed, TellBoxed, TellError, TellShown};
pub use job::Job;
pub use lookup::Registry;
pub use object::{Blueprint, BuildError, Object, Remote};
pub use registration::Registration;
pub use short::{OwnRemote, Worker};
pub use target::{Index, Target};
pub use unknown::{DuplicateTarget, UnknownTarget};
