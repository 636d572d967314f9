//! Named points at which a test can have this process killed: every claim about death is tested by a death there.
//!
//! Without the feature `fault-points`, which only mpm's own tests switch on, nothing of this is compiled in.

#[cfg(feature = "fault-points")]
use nix::sys::signal::Signal;

/// Ends this process by SIGKILL if `MPM_FAULT` is `NAME:FILE` with this name and the file is still there; a file that holds
/// anything stops it by SIGSTOP instead. Removing the file is the latch: of all processes that come by, one dies.
#[cfg(feature = "fault-points")]
pub(crate) fn fault_point(name: &str) {
    let Some(value) = std::env::var_os("MPM_FAULT") else { return };
    let Some((point, latch)) = value.to_str().and_then(|value| value.split_once(':')) else { return };
    if point != name {
        return;
    }
    let stops = std::fs::metadata(latch).is_ok_and(|file| file.len() > 0);
    if std::fs::remove_file(latch).is_ok() {
        let _ = nix::sys::signal::raise(if stops { Signal::SIGSTOP } else { Signal::SIGKILL });
    }
}

/// Does nothing: the feature `fault-points` is off.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) fn fault_point(_name: &str) {}
