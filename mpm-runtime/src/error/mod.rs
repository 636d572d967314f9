//! What can go wrong, as types: one opaque error for setting up, one enum for how a job ended badly, one report of a
//! death. In come facts as plain values; this room knows nothing of the rest.

mod build;
mod death;
mod exit;
mod job;
mod limits;
mod reason;
mod setup;
mod submit;

pub use build::NotBuilt;
pub use death::{Death, DidRun, HowItEnded, Phase};
pub use exit::WorkerExit;
pub use job::{Cancelled, DataError, JobError, Panicked};
pub use limits::{Expired, Poisoned, TimeLimit, TimedOut};
pub use reason::EndReason;
pub(crate) use setup::Kind;
pub use setup::{Error, Result};
pub(crate) use submit::Refusal;
pub use submit::SubmitError;
