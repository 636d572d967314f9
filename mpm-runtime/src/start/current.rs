//! Who this process is, and who started it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::method::StartMethod;
use crate::sys::Pidfd;

/// What `main` is called.
const MAIN: &str = "main";

static CURRENT: Mutex<Option<Arc<Current>>> = Mutex::new(None);

/// A process that mpm has started, from the inside.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) name: String,
    pub(super) method: StartMethod,
    pub(super) daemon: bool,
    pub(super) parent: ParentProcess,
}

/// This process: its name, and how it was started.
///
/// ```
/// let me = mpm::current_process();
/// assert_eq!((me.name(), me.start_method()), ("main", None));
/// assert_eq!(me.pid(), std::process::id());
/// assert!(mpm::parent_process().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct CurrentProcess(Option<Arc<Current>>);

/// The process that started this one: the one that built the pool, also where a template has made the worker for it.
#[derive(Clone, Debug)]
pub struct ParentProcess(Arc<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    pid: u32,
    pidfd: Pidfd,
}

/// The calling process.
#[must_use]
pub fn current_process() -> CurrentProcess {
    CurrentProcess(CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The process that started the calling one; `None` in one that mpm has not started.
#[must_use]
pub fn parent_process() -> Option<ParentProcess> {
    current_process().0.map(|current| current.parent.clone())
}

/// In a new process: this is who it is from now on.
pub(super) fn become_current(current: Current) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(current));
}

impl CurrentProcess {
    /// The name, such as `thumbs-0`; `main` in a process that mpm has not started.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_ref().map_or(MAIN, |current| &current.name)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Whether it ends with its parent, and is not waited for there. So it is for a pool's worker.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.0.as_ref().is_some_and(|current| current.daemon)
    }

    /// How it was started; `None` in a process that mpm has not started.
    #[must_use]
    pub fn start_method(&self) -> Option<StartMethod> {
        self.0.as_ref().map(|current| current.method)
    }
}

impl ParentProcess {
    pub(super) fn new(name: String, pid: u32, pidfd: Pidfd) -> Self {
        Self(Arc::new(Known { name, pid, pidfd }))
    }

    /// Its name, as [`CurrentProcess::name`] gives it there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether it runs still. No other process that gets its number later is taken for it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.0.pidfd.has_ended()
    }

    /// Waits until it has ended.
    pub fn wait(&self) {
        self.0.pidfd.ends_until(None);
    }

    /// Waits until it has ended, for so long at most; whether it has.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.0.pidfd.ends_until(Instant::now().checked_add(timeout))
    }
}
