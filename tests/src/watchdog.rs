//! Ends a test that hangs, with a picture of what hung: a test run must end by itself, and say why.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::process::{Stat, children_of};

/// Far more than any test needs, on any machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The name of the watching thread; [`Leaks`](crate::Leaks) knows it.
pub(crate) const THREAD: &str = "watchdog";

/// Guards a test until it is dropped; see [`watchdog`].
#[must_use = "the watchdog leaves when this is dropped"]
#[derive(Debug)]
pub struct Watchdog {
    /// Never sent on: the watcher wakes up when it is dropped.
    alive: Option<Sender<()>>,
    watcher: Option<JoinHandle<()>>,
}

/// Aborts this process in 120 seconds unless the guard is dropped before.
///
/// ```
/// let _guard = mpm_tests::watchdog();
/// ```
pub fn watchdog() -> Watchdog {
    watchdog_after(LIMIT)
}

/// Aborts this process after `limit` unless the guard is dropped before.
///
/// The last words, on standard error, name the test and list the threads of this process and of all processes below it,
/// each with the place in the kernel where it waits.
///
/// # Panics
/// If no thread can be started.
pub fn watchdog_after(limit: Duration) -> Watchdog {
    let test = thread::current().name().unwrap_or("unnamed").to_owned();
    let (alive, dropped) = mpsc::channel();
    let watcher = thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                bite(&test, limit);
            }
        })
        .expect("a thread for the watchdog");
    Watchdog { alive: Some(alive), watcher: Some(watcher) }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(watcher) = self.watcher.take() {
            // A watcher that panicked has told so on standard error; the test's own result stands.
            drop(watcher.join());
        }
    }
}

fn bite(test: &str, limit: Duration) {
    let mut report = format!("\nwatchdog: the test `{test}` did not end within {limit:?}\n");
    describe(process::id(), 0, &mut report);
    // The macros would write into the buffer of the test harness, which an abort throws away.
    drop(io::stderr().write_all(report.as_bytes()));
    process::abort();
}

/// Writes down a process, its threads, and the processes below it.
pub(crate) fn describe(pid: u32, depth: usize, report: &mut String) {
    let indent = "  ".repeat(depth);
    let (name, state) = Stat::read(pid).map_or(("gone".to_owned(), '?'), |stat| (stat.name, stat.state));
    // Writing into a string always succeeds.
    let _ = writeln!(report, "{indent}process {pid} `{name}` ({state})");
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let id = thread.file_name().to_string_lossy().into_owned();
        let (comm, place) = (read("comm"), read("wchan"));
        let _ = writeln!(report, "{indent}  thread {id} `{}` in `{}`", comm.trim(), place.trim());
        for line in read("stack").lines() {
            let _ = writeln!(report, "{indent}    {line}");
        }
    }
    for child in children_of(pid) {
        describe(child, depth + 1, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone::{is_alone, run_again};
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_guard_that_is_dropped_leaves_no_thread() {
        let guard = watchdog_after(Duration::from_secs(3600));
        drop(guard);
    }

    #[test]
    fn a_test_that_hangs_is_ended_and_named() {
        let path = "watchdog::tests::a_test_that_hangs_is_ended_and_named";
        if is_alone(path) {
            let _guard = watchdog_after(Duration::from_millis(50));
            loop {
                thread::park();
            }
        }
        let ended = run_again(path, LIMIT);
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}", ended.output);
        let own_thread = format!("`{THREAD}`");
        for part in [path, "did not end within 50ms", "process ", "thread ", own_thread.as_str()] {
            assert!(ended.output.contains(part), "no {part} in: {}", ended.output);
        }
    }
}
