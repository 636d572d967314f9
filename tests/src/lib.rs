//! What the tests of mpm share: a watchdog, a search for leaks, a process of one's own for a test, and a loaded machine.
//! Nothing here knows mpm; the helpers look at processes from outside, as the system shows them.

mod alone;
mod busy;
mod leaks;
mod process;
mod wait;
mod watchdog;

pub use alone::alone;
pub use busy::{Busy, busy};
pub use leaks::Leaks;
pub use process::{children_of, kill, process_gone, try_kill};
pub use wait::wait_until;
pub use watchdog::{Watchdog, watchdog, watchdog_after};
