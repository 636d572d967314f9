//! The targets of this program. What `#[worker]` submits enters before `main`; a sorted table leaves, the same in every
//! process of one program, in which a target is found by its name or by its place.
//!
//! Invariant: nothing here runs a job.

mod constructor;
mod done;
mod job;
mod lookup;
mod note;
mod object;
mod options;
mod queueing;
mod registration;
mod report;
mod retry;
mod short;
mod target;
#[cfg(test)]
mod tests;
mod unknown;

pub use constructor::{Constructed, TellBoxed, TellError, TellShown};
pub use done::Done;
pub(crate) use done::{Encoded, OnDone};
pub use job::Job;
pub use lookup::Registry;
pub(crate) use note::{Ask, Note};
pub use object::{Blueprint, BuildError, Object, Remote};
pub(crate) use options::{JobOptions, Judge};
pub use registration::Registration;
pub use report::Report;
pub use retry::Retry;
pub use short::{OwnRemote, Worker};
pub use target::{Index, Target};
pub use unknown::{DuplicateTarget, UnknownTarget};
