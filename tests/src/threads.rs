//! Threads of this and other processes, as `/proc` shows them: how often they came off a CPU, and what they sleep in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn threads_of(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

fn name_of(thread: &Path) -> String {
    fs::read_to_string(thread.join("comm")).unwrap_or_default().trim_end().to_owned()
}

/// How often each thread of a process whose name begins with `name` has gone off a CPU, because it slept or because another was to
/// run, by pid, name and number: a thread whose count stands still was not woken.
#[must_use]
pub fn switches(pid: u32, name: &str) -> BTreeMap<String, u64> {
    let count = |thread: &Path| -> u64 {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches:"));
        lines.filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok()).sum()
    };
    let named = threads_of(pid).map(|thread| (name_of(&thread), thread)).filter(|(its, _)| its.starts_with(name));
    named.map(|(its, thread)| (format!("{its} {}", thread.display()), count(&thread))).collect()
}

/// The number of the system call that the thread of this process with this name sleeps in; `None` while it runs or is not there.
#[must_use]
pub fn call_of(name: &str) -> Option<i64> {
    let thread = threads_of(std::process::id()).find(|thread| name_of(thread) == name)?;
    fs::read_to_string(thread.join("syscall")).ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_thread_that_sleeps_is_seen_in_its_call_and_one_that_is_woken_is_counted() {
        let (tell, told) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("sleeps here".to_owned());
        let thread = thread.spawn(move || while told.recv().is_ok() {}).unwrap();
        let is_asleep = || call_of("sleeps here") == Some(libc::SYS_futex);
        let count = || switches(std::process::id(), "sleeps here").into_values().sum::<u64>();
        wait_until("the thread sleeps", is_asleep);
        let before = count();
        tell.send(()).unwrap();
        wait_until("the thread was woken and sleeps again", || count() > before && is_asleep());
        drop(tell);
        thread.join().unwrap();
        wait_until("it is gone", || call_of("sleeps here").is_none());
    }
}
