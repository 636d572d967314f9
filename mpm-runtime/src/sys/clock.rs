//! The monotonic clock as a number that two processes can compare.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, which counts from one origin for all processes of a machine (clock_gettime(2)).
pub(crate) fn monotonic_nanos() -> u64 {
    nanos(ClockId::CLOCK_MONOTONIC)
}

/// The same clock as it was at the last tick of the kernel, some milliseconds ago: for a fraction of the cost.
pub(crate) fn last_tick_nanos() -> u64 {
    nanos(ClockId::CLOCK_MONOTONIC_COARSE)
}

fn nanos(clock: ClockId) -> u64 {
    // The call fails only for a clock that the kernel does not have; every Linux has these.
    clock_gettime(clock)
        .map_or(0, |t| u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0))
}
