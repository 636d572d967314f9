//! Single processes: one child that runs one job, and closures that run in a copy of this process.
//!
//! In comes a job and what its process shall be like, out comes a handle. A process is reaped by the starting thread, exactly
//! once; everybody else waits for what that thread has seen.

mod active;
mod builder;
mod handle;
mod isolate;
mod running;
mod start;

pub use active::active_processes;
pub use builder::ProcessBuilder;
pub use handle::Process;
pub use isolate::{isolate, isolate_despite_threads};
