//! Every system call of mpm: memory, futex, descriptors, sockets, processes, signals, clock and limits.
//!
//! In come plain values and descriptors, out go owned types that clean up in `Drop` and `std::io::Result`s. This room
//! imports nothing from the rest of the crate and is the only one that names `libc`; everything above it is safe code
//! over these types.

#![expect(unsafe_code, reason = "this is the room where the system is called; each block carries its proof")]

mod clock;
mod cpu;
mod exe;
mod fault;
mod fd;
mod futex;
mod lifeline;
mod memory;
mod oom;
mod poll;
mod process;
mod signal;
mod socket;

pub(crate) use clock::monotonic_nanos;
pub(crate) use cpu::usable_cpus;
pub(crate) use exe::executable_identity;
pub(crate) use fault::fault_point;
pub(crate) use fd::{Doorbell, Pipe, Ringer, STDERR, is_own_want, read_available, say, set_nonblocking, write_all};
pub(crate) use futex::{futex_wait, futex_wake};
pub(crate) use lifeline::{Lifeline, arm_lifeline, arm_parent_death_signal};
pub(crate) use memory::{Access, Mapping, Memfd};
pub(crate) use oom::{OomKills, oom_kills};
pub(crate) use poll::Poller;
pub(crate) use process::{Child, Exit, SpawnRequest, adopt_stdout, exit_now, finish, rename, spawn};
pub(crate) use signal::{block_all_signals, ignore_interrupt, signal_name};
pub(crate) use socket::{Socket, socket_from_raw};
