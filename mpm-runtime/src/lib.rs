//! mpm runs Rust functions in other processes, from one binary.
//!
//! A thread cannot be killed or limited, and takes the whole program with it when a C library under it crashes. A
//! process can be killed, limited and replaced. mpm makes a process as easy to use as a thread pool: `#[worker]` on a
//! function makes it a target, the same executable is its own worker, started again or forked ([`StartMethod`]), and a [`Pool`]
//! gives queue, results and a complete report when a worker dies. [`Process`] is one process for one job, [`isolate`] runs a
//! closure in a copy of this process.
//!
//! ```
//! use mpm::{Pool, worker};
//!
//! /// Counts the primes below `n`.
//! #[worker]
//! fn count_primes(n: u64) -> u64 {
//!     (2..n).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d))).count() as u64
//! }
//!
//! #[mpm::main]
//! fn main() -> mpm::Result<()> {
//!     let pool = Pool::new()?; // one worker process per usable CPU
//!     let job = pool.submit(count_primes::job(10_000))?; // returns at once
//!     println!("{}", job.wait()?); // or job.await
//!     for n in pool.map::<count_primes>((1..=4).map(|k| k * 500)) {
//!         println!("{}", n?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Promises
//! - Every job has exactly one outcome, delivered once: a value or a [`JobError`].
//! - A job that may have run is not run again.
//! - A panic costs its job, a death costs its job and the worker is replaced; other jobs go on.
//! - Workers, and all that they started and that stayed in their process group, are gone within two seconds of the
//!   parent's end, however it ends.
//! - The parent stays memory-safe and alive whatever bytes a worker writes.

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("mpm runs on Linux on x86-64 and aarch64: it is built on memfd seals, pidfds and futexes");

mod codec;
mod error;
mod init;
mod link;
mod pool;
mod process;
mod registry;
pub mod signals;
mod start;
mod sys;
mod worker;

pub use codec::{CodecError, Failure};
pub use error::{
    Cancelled, DataError, Death, DidRun, EndReason, Error, HowItEnded, JobError, Panicked, Phase, Result, SubmitError, WorkerExit,
};
pub use init::init;
pub use mpm_macros::{main, test, worker};
pub use pool::{
    AsCompleted, Builder, Event, EventKind, JobHandle, Map, MapUnordered, Pool, Preloaded, as_completed, wait_all,
    wait_all_timeout, wait_any, wait_any_timeout,
};
pub use process::{Process, ProcessBuilder, active_processes, isolate, isolate_despite_threads};
pub use registry::{Done, Job, Report, Target};
pub use start::{
    CurrentProcess, ParentProcess, StartMethod, current_process, force_start_method, parent_process, set_start_method, start_method,
};

/// What generated code names. No part of the public interface: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::borrow::Cow;
    pub use std::vec::Vec;

    pub use inventory;

    pub use crate::codec::{
        ByteRun, Call, Codec, CodecError, Encoder, Lend, Panic, PickBytes, PickInner, PickOuter, PickSerde, Tag, Travel, lend,
        panic_message, put, put_lent, read,
    };
    pub use crate::error::Phase;
    pub use crate::init::enter_test;
    pub use crate::registry::{DuplicateTarget, Index, Registration, Registry, UnknownTarget};
}

/// Runs the programs in the README as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
