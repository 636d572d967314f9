//! A control group with little memory: a process that joins it and takes more is killed by the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wait::holds_within;

/// Removed when it is dropped. Whoever is in it by then must be gone.
#[derive(Debug)]
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Makes a group whose processes may hold so many bytes together. `None` where this process may not, or the system has none.
    pub fn new(limit: u64) -> Option<MemoryGroup> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mpm-tests-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        // Below the group of this process, so that what the kernel counts there counts for this process too (cgroups(7)).
        let second = own.lines().find_map(|line| line.strip_prefix("0::"));
        let first = own.lines().find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
        let places = [
            second.map(|path| (format!("/sys/fs/cgroup{path}"), "memory.max")),
            first.map(|path| (format!("/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes")),
        ];
        places.into_iter().flatten().find_map(|(folder, file)| Self::within(&Path::new(&folder).join(&name), file, limit))
    }

    fn within(folder: &Path, file: &str, limit: u64) -> Option<MemoryGroup> {
        fs::create_dir(folder).ok()?;
        let group = MemoryGroup(folder.to_owned());
        // A folder that is no control group has no such files.
        let set = |file: &str, text: String| {
            let file = folder.join(file);
            file.exists() && fs::write(file, text).is_ok()
        };
        // What has no place in memory would go to a disk instead, where there is one for that.
        let _ = set("memory.swap.max", "0".to_owned());
        set(file, limit.to_string()).then_some(group)
    }

    /// Where it is: a process joins by writing its number into `cgroup.procs` there.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // The kernel lets a dead process go a moment later.
        holds_within(std::time::Duration::from_secs(10), || fs::remove_dir(&self.0).is_ok());
    }
}
