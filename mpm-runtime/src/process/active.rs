//! The processes that this process has started and that have not ended.

use std::sync::{Arc, Mutex, PoisonError};

use super::handle::Process;
use super::running::Running;
use crate::sys::at_exit;

static ACTIVE: Mutex<Vec<Arc<Running>>> = Mutex::new(Vec::new());

/// Lists a process until it ends.
pub(super) fn add(running: &Arc<Running>) {
    // The process whose exit waits: a copy of it runs only the hooks that it has registered itself.
    static JOINS_AT_EXIT: Mutex<Option<u32>> = Mutex::new(None);
    let before = JOINS_AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner).replace(running.owner);
    if before != Some(running.owner) {
        at_exit(join_all);
    }
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    // In a copy of the process, those of the original are not its own.
    active.retain(|known| known.owner == running.owner);
    active.push(Arc::clone(running));
}

/// Takes a process off the list.
pub(super) fn remove(running: &Running) {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| !std::ptr::eq(&raw const **known, running));
}

fn own() -> Vec<Arc<Running>> {
    let me = std::process::id();
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|known| known.owner == me).cloned().collect()
}

/// All processes that this process has started with [`Process`] and that run still, oldest first.
///
/// These handles do not take a process's value: [`Process::wait`] on one of them says only whether the job returned.
///
/// ```
/// use mpm::{Process, worker};
///
/// #[worker]
/// fn work() {}
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let process = Process::builder(work::job()).name("one").start()?;
///     process.join()?;
///     assert!(mpm::active_processes().is_empty());
///     Ok(())
/// }
/// ```
#[must_use]
pub fn active_processes() -> Vec<Process<()>> {
    own().into_iter().map(Process::untyped).collect()
}

/// At the end of this process: waits for all that are not daemons. Those end with this process.
extern "C" fn join_all() {
    while let Some(running) = own().into_iter().find(|running| !running.daemon) {
        running.wait(None);
        // It is off the list before its end is told; should that change, this must not spin.
        remove(&running);
    }
}
