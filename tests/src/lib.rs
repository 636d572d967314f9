//! What the tests of mpm share: a watchdog, a search for leaks, a process of one's own for a test, and a loaded machine.
//! Nothing here knows mpm; the helpers look at processes from outside, as the system shows them.

mod allocations;
mod alone;
mod block_on;
mod busy;
mod calls;
mod doomed;
mod gate;
mod leaks;
mod log;
mod memory_group;
mod process;
mod sandbox;
mod system;
mod threads;
mod wait;
mod watchdog;

pub use allocations::{Counting, allocations, allocations_here, bytes_in_use};
pub use alone::{alone, alone_with_one_thread};
pub use block_on::block_on;
pub use busy::{Busy, busy};
pub use calls::{at_exit, exit_on_signal, lead_session, note_signal, noted_signal, open_at, readable, send_on_all_sockets};
pub use doomed::{Doomed, doomed, report};
pub use gate::{Gate, arrive_at, wait_at};
pub use leaks::Leaks;
pub use log::Log;
pub use memory_group::MemoryGroup;
pub use process::{children_of, kill, process_gone, templates_of, try_kill};
pub use sandbox::{deny, deny_with, keep_to_one_cpu, pretend_control_group};
pub use system::{
    AlarmStorm, ProcessLimit, become_nobody, block_signal, close_descriptor, close_descriptors_from, fork_and_return,
    ignore_signal, in_forked_copy, join_the_parents_group, limit_descriptors, limit_descriptors_of, limit_file_size,
    limit_processes, raise, write_to_null,
};
pub use threads::{call_of, switches};
pub use wait::wait_until;
pub use watchdog::{Watchdog, watchdog, watchdog_after};
