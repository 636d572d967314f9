//! Those that are measured inside this program, one file each, and what they have in common.

mod iceoryx;
mod ipc;
mod measure;
mod pool;
mod procspawn;
mod threads;

pub(crate) use measure::{measure, serve};
