//! Every system call of mpm: memory, futex, descriptors, sockets, processes, signals, clock and limits.
//!
//! In come plain values and descriptors, out go owned types that clean up in `Drop` and `std::io::Result`s. This room
//! imports nothing from the rest of the crate and is the only one that names `libc`; everything above it is safe code
//! over these types.

#![expect(unsafe_code, reason = "this is the room where the system is called; each block carries its proof")]

mod catch;
mod clock;
mod copy;
mod cpu;
mod exe;
mod fault;
mod fd;
mod futex;
mod identity;
mod lifeline;
mod memory;
mod oom;
mod original;
mod pidfd;
mod poll;
mod private;
mod process;
mod random;
mod resident;
mod signal;
mod socket;
mod spawn;
mod threads;

pub(crate) use catch::{Caught, catch, caught_signals, send_to_self};
pub(crate) use clock::{cpu_nanos, last_tick_nanos, monotonic_nanos};
pub(crate) use copy::{
    adopt_stderr, adopt_streams, fill_standard_streams, flush_output, fork, lead_session, leave_the_original, reset_signals,
    unblock_signals,
};
pub(crate) use cpu::{has_several_cpus, usable_cpus};
pub(crate) use exe::executable_identity;
pub(crate) use fault::fault_point;
pub(crate) use fd::{Bell, Doorbell, Pipe, Ringer, STDERR, is_own_want, read_available, say, set_nonblocking, write_all};
pub(crate) use futex::{Wait, futex_wait, futex_wait_either, futex_wait_own, futex_wake, futex_wake_own};
pub(crate) use identity::{Title, identity, rename, set_environment};
pub(crate) use lifeline::{Armed, Lifeline, LifelineEnd, arm_lifeline, arm_parent_death_signal, wake_at_parent_death};
pub(crate) use memory::{Access, Mapping, Memfd};
pub(crate) use oom::{OomKills, oom_kills};
pub(crate) use original::Original;
pub(crate) use pidfd::{Pidfd, is_gone};
pub(crate) use poll::{Keys, Poller, readable_until, wait_writable};
pub(crate) use private::Private;
pub(crate) use process::{Child, Exit, adopt_stdout, at_exit, end_own_group, exit_now, finish, kill_own_group_of, reap};
pub(crate) use random::random;
pub(crate) use resident::{resident, resident_of, state_of};
pub(crate) use signal::{
    SIGINT, SIGTERM, heed_interrupt, heed_terminate, ignore_child_signal, ignore_interrupt, ignore_terminate, signal_name,
    watch_children,
};
pub(crate) use socket::{Socket, socket_from_raw};
pub(crate) use spawn::{SpawnRequest, spawn};
pub(crate) use threads::{Alone, OwnThread, alone};
