//! What a test leaves behind in its process: descriptors, threads, children, mapped memory.
//!
//! The whole process is looked at, so a test that uses this runs [`alone`](crate::alone()), or is the only one of its binary.

use std::collections::BTreeSet;
use std::fs;
use std::process;
use std::time::Duration;

use crate::process::{Stat, children_of};
use crate::wait::holds_within;
use crate::{busy, watchdog};

/// Ends of processes and threads become visible some time after they were asked for; a test that passes never waits this out.
const LIMIT: Duration = Duration::from_secs(30);

/// The mark in the names of mpm's shared memory.
const MEMORY: &str = "memfd:mpm";

/// What was there at the start; [`check`](Leaks::check) compares.
///
/// ```
/// let leaks = mpm_tests::Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
/// // … the test …
/// leaks.check();
/// ```
#[derive(Debug)]
pub struct Leaks {
    before: Snapshot,
    allowed_threads: Vec<String>,
    limit: Duration,
}

/// Each thing as the line that a report shows; the numbers keep equal things apart.
#[derive(Debug)]
struct Snapshot {
    descriptors: BTreeSet<String>,
    threads: BTreeSet<(String, String)>,
    children: BTreeSet<(u32, String)>,
    memory: BTreeSet<String>,
}

impl Leaks {
    /// Notes what is there now.
    ///
    /// Where the library keeps one descriptor for the whole process from the first pool on, take the baseline after a first
    /// pool has come and gone. What the library's threads still have at hand comes to its end first.
    ///
    /// # Panics
    /// When they do not come to rest.
    pub fn baseline() -> Leaks {
        crate::wait_until("the library's threads rest", own_threads_sleep);
        let own = [watchdog::THREAD, busy::THREAD].map(str::to_owned);
        Leaks { before: Snapshot::take(), allowed_threads: own.into(), limit: LIMIT }
    }

    /// Lets threads stay whose names, as `/proc` shows them (15 bytes at most), begin with one of these.
    #[must_use]
    pub fn allow_threads(mut self, prefixes: &[&str]) -> Leaks {
        self.allowed_threads.extend(prefixes.iter().map(|prefix| (*prefix).to_owned()));
        self
    }

    /// Waits until nothing is there that was not there at the start.
    ///
    /// # Panics
    /// After 30 seconds, with a list of what is still there; and of descriptors that are gone, since closing a descriptor that one
    /// does not own hits a stranger.
    #[track_caller]
    pub fn check(&self) {
        let mut difference = Vec::new();
        let is_clean = holds_within(self.limit, || {
            difference = self.difference(&Snapshot::take());
            difference.is_empty()
        });
        assert!(is_clean, "after {:?} the test still leaves behind:\n{}", self.limit, difference.join("\n"));
    }

    fn difference(&self, now: &Snapshot) -> Vec<String> {
        let before = &self.before;
        let is_allowed = |name: &str| self.allowed_threads.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let mut lines = Vec::new();
        lines.extend(now.descriptors.difference(&before.descriptors).map(|line| format!("  + descriptor {line}")));
        lines.extend(before.descriptors.difference(&now.descriptors).map(|line| format!("  - descriptor {line}")));
        let threads = now.threads.difference(&before.threads).filter(|(_, name)| !is_allowed(name));
        lines.extend(threads.map(|(id, name)| format!("  + thread {id} `{name}`")));
        // A zombie that was alive at the start is still the same child.
        let is_new = |pid: &u32| !before.children.iter().any(|(known, _)| known == pid);
        let children = now.children.iter().filter(|(pid, _)| is_new(pid));
        lines.extend(children.map(|(pid, what)| format!("  + child {pid} {what}")));
        lines.extend(now.memory.difference(&before.memory).map(|line| format!("  + memory {line}")));
        lines
    }
}

impl Snapshot {
    fn take() -> Snapshot {
        Snapshot {
            descriptors: descriptors(),
            threads: threads(),
            children: children_of(process::id()).into_iter().map(describe_child).collect(),
            memory: memory(&fs::read_to_string("/proc/self/maps").expect("the own mappings")),
        }
    }
}

fn descriptors() -> BTreeSet<String> {
    let own_listing = format!("/proc/{}/fd", process::id());
    let entries = fs::read_dir("/proc/self/fd").expect("the own descriptors");
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            // One that was closed in between has no target any more.
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            (target != own_listing).then(|| format!("{} -> {target}", entry.file_name().to_string_lossy()))
        })
        .collect()
}

/// Whether each thread of the library's waits for something.
fn own_threads_sleep() -> bool {
    let entries = fs::read_dir("/proc/self/task").expect("the own threads");
    let stats = entries.filter_map(|entry| Stat::parse(&fs::read_to_string(entry.ok()?.path().join("stat")).ok()?));
    stats.filter(|stat| stat.name.starts_with("mpm-")).all(|stat| stat.state == 'S')
}

fn threads() -> BTreeSet<(String, String)> {
    let entries = fs::read_dir("/proc/self/task").expect("the own threads");
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), name.trim_end().to_owned()))
        })
        .collect()
}

/// The lines of a `maps` file that are shared memory of mpm.
fn memory(maps: &str) -> BTreeSet<String> {
    maps.lines().filter(|line| line.contains(MEMORY)).map(str::to_owned).collect()
}

fn describe_child(pid: u32) -> (u32, String) {
    let what = Stat::read(pid).map_or("gone".to_owned(), |stat| format!("`{}` ({})", stat.name, stat.state));
    (pid, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone;
    use std::fs::File;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;

    /// The one line of difference, which a leak of one thing makes.
    fn only_line(leaks: &Leaks) -> String {
        let lines = leaks.difference(&Snapshot::take());
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn nothing_is_left_by_nothing() {
        alone("leaks::tests::nothing_is_left_by_nothing", || Leaks::baseline().check());
    }

    #[test]
    fn a_descriptor_is_seen_both_ways() {
        alone("leaks::tests::a_descriptor_is_seen_both_ways", || {
            let leaks = Leaks::baseline();
            let file = File::open("/dev/null").unwrap();
            assert!(only_line(&leaks).starts_with("  + descriptor "));
            assert!(only_line(&leaks).ends_with("-> /dev/null"));
            let with_file = Leaks::baseline();
            drop(file);
            leaks.check();
            assert!(only_line(&with_file).starts_with("  - descriptor "));
        });
    }

    #[test]
    fn a_thread_is_seen_unless_allowed() {
        alone("leaks::tests::a_thread_is_seen_unless_allowed", || {
            let leaks = Leaks::baseline();
            let (stop, stopped) = mpsc::channel::<()>();
            let (name, started) = mpsc::channel();
            let body = move || {
                name.send(()).unwrap();
                stopped.recv().expect_err("nothing is sent");
            };
            let thread = thread::Builder::new().name("helper-1".to_owned()).spawn(body).unwrap();
            started.recv().unwrap();
            assert!(only_line(&leaks).ends_with("`helper-1`"));
            Leaks { before: leaks.before, ..Leaks::baseline() }.allow_threads(&["helper"]).check();
            drop(stop);
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_child_is_seen_and_so_is_a_zombie() {
        alone("leaks::tests::a_child_is_seen_and_so_is_a_zombie", || {
            let leaks = Leaks::baseline();
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let line = |leaks: &Leaks| leaks.difference(&Snapshot::take()).join("\n");
            assert!(line(&leaks).contains(&format!("+ child {}", child.id())));
            drop(child.stdin.take());
            crate::wait_until("the child is a zombie", || line(&leaks).ends_with("`cat` (Z)"));
            child.wait().unwrap();
            leaks.check();
        });
    }

    #[test]
    fn memory_is_known_by_its_name() {
        let leaks = Leaks::baseline();
        let line = "7f0000000000-7f0000001000 rw-s 00000000 00:01 42 /memfd:mpm-link (deleted)";
        let mut now = Snapshot::take();
        now.memory = memory(&format!("7effff000000-7effff001000 r-xp 0 00:01 7 /bin/cat\n{line}\n"));
        assert_eq!(now.memory.len(), 1);
        let lines = leaks.difference(&now);
        assert!(lines.contains(&format!("  + memory {line}")), "{lines:?}");
    }

    #[test]
    fn what_stays_is_told() {
        alone("leaks::tests::what_stays_is_told", || {
            let leaks = Leaks { limit: Duration::from_millis(50), ..Leaks::baseline() };
            let _file = File::open("/dev/null").unwrap();
            let payload = std::panic::catch_unwind(|| leaks.check()).expect_err("it must fail");
            let message = payload.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(message.contains("still leaves behind") && message.contains("/dev/null"), "{message}");
        });
    }
}
