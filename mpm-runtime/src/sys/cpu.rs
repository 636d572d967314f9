//! How many CPUs this process may really use.

use std::sync::OnceLock;

/// CPUs that the affinity mask and the cgroup quota leave to this process; at least 1.
///
/// `std::thread::available_parallelism` asks `sched_getaffinity` and the cgroup v1 and v2 CPU quotas, and passes over
/// control files that it cannot read or parse.
pub(crate) fn usable_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whether there is more than one, looked up once: by a template before it forks, so that its workers need not open the same
/// files each.
pub(crate) fn has_several_cpus() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| usable_cpus() > 1)
}
