//! Whether the kernel has killed for want of memory.

use std::fs;

/// How many processes the out-of-memory killer has ended so far, counted in this process's memory cgroup where there
/// is one, else in the whole system. `None` where neither counter can be read.
pub(crate) fn oom_kills() -> Option<u64> {
    own_cgroup().and_then(|path| counter(&format!("/sys/fs/cgroup{path}/memory.events"))).or_else(|| counter("/proc/vmstat"))
}

/// The path of this process in the unified hierarchy (cgroups(7)): the line that begins with `0::`.
fn own_cgroup() -> Option<String> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

fn counter(file: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|n| n.trim().parse().ok())
}
