//! The monotonic clock as a number that two processes can compare.

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Nanoseconds of `CLOCK_MONOTONIC`, which counts from one origin for all processes of a machine (clock_gettime(2)).
pub(crate) fn monotonic_nanos() -> u64 {
    nanos(ClockId::CLOCK_MONOTONIC)
}

/// The same clock as it was at the last tick of the kernel, some milliseconds ago: for a fraction of the cost.
pub(crate) fn last_tick_nanos() -> u64 {
    nanos(ClockId::CLOCK_MONOTONIC_COARSE)
}

/// Nanoseconds of CPU time that all threads of a process have used together, this one where none is named; `None` if it is gone
/// (clock_getcpuclockid(3)).
pub(crate) fn cpu_nanos(pid: Option<u32>) -> Option<u64> {
    let pid = pid.map_or(Ok(0), i32::try_from).ok()?;
    clock_getcpuclockid(Pid::from_raw(pid)).ok().map(nanos)
}

fn nanos(clock: ClockId) -> u64 {
    // The call fails only for a clock that the kernel does not have; every Linux has these.
    clock_gettime(clock)
        .map_or(0, |t| u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0))
}
