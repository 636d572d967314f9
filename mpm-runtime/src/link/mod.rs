//! The link between the parent and one worker: two rings in shared memory, a claim word, bells, a control socket.
//!
//! Bytes go in and the same bytes come out on the other side; this room knows nothing of jobs beyond their numbers. The
//! protocol, with every state and who may touch it when, stands in `README.md` beside this file.

mod bell;
mod bytes;
mod chunks;
mod claim;
mod glance;
mod homes;
mod items;
mod layout;
mod lease;
mod memory;
mod parent;
mod requests;
mod responses;
mod segment;
mod shelf;
mod size;
pub(crate) mod sync;
mod talk;
mod violation;
mod worker;
mod worker_items;

#[cfg(test)]
mod tests;

pub(crate) use bell::{Call, Patience, armed};
pub(crate) use bytes::Bytes;
pub(crate) use chunks::Batch;
pub(crate) use glance::Glance;
pub(crate) use homes::Worker;
pub(crate) use items::{ItemFrame, LENGTH as ITEM_LENGTH, MOST as MOST_ITEMS};
pub(crate) use layout::INLINE;
pub(crate) use lease::Received;
pub(crate) use parent::{NoRoom, ParentEnd, TakenBack};
pub(crate) use requests::{Head, Request};
pub(crate) use responses::Kind;
pub(crate) use shelf::{Payload, Shelf};
pub(crate) use violation::Violation;
pub(crate) use worker::{Answer, Corrupt, Desk, WorkerEnd};
pub(crate) use worker_items::Items;
