//! Whether the kernel has killed for want of memory.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More than the longest of these files has on most systems.
const ROOM: usize = 8 * 1024;

/// How old the count may be from which the life of a new worker is reckoned. To have the kernel count costs a good part of what a worker
/// costs; a kill by which the count is too old cannot be told from one that comes in the worker's life.
const RECENT: Duration = Duration::from_millis(100);

static KNOWN: Mutex<Known> = Mutex::new(Known { explained: 0, last: None });

/// What this process knows of the kernel's kills, whichever pool's.
#[derive(Debug)]
struct Known {
    /// How many of the counted kills were found to be ends of workers of this process.
    explained: u64,
    /// What was counted last, and when. Each kill that is explained was counted by then.
    last: Option<(u64, Instant)>,
}

/// The out-of-memory kills up to one moment: all that the kernel has counted, and those whose victims are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OomKills {
    counted: u64,
    explained: u64,
}

/// The kills so far, or up to a moment ago. `None` where the kernel's count cannot be read.
pub(crate) fn oom_kills() -> Option<OomKills> {
    let mut known = known();
    let recent = known.last.filter(|(_, at)| at.elapsed() < RECENT).map(|(counted, _)| counted);
    Some(OomKills { counted: recent.or_else(|| known.count())?, explained: known.explained })
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn count(&mut self) -> Option<u64> {
        let at = Instant::now();
        self.last = counted().map(|counted| (counted, at));
        Some(self.last?.0)
    }
}

impl OomKills {
    /// For a worker that was there at `self` and has ended by a SIGKILL that nobody here sent: whether that was for want of
    /// memory. If so, it explains one of the kills that were counted since, which then speaks for no other worker.
    pub(crate) fn explain(self) -> Option<bool> {
        let mut known = known();
        let has_victim_left = self.unexplained(OomKills { counted: known.count()?, explained: known.explained }) > 0;
        known.explained += u64::from(has_victim_left);
        Some(has_victim_left)
    }

    /// How many kills were counted between `self` and `now` whose victims are not known.
    fn unexplained(self, now: Self) -> u64 {
        now.counted.saturating_sub(self.counted).saturating_sub(now.explained.saturating_sub(self.explained))
    }
}

/// How many processes the out-of-memory killer has ended so far, counted in this process's memory cgroup where there
/// is one, else in the whole system. `None` where neither counter can be read.
fn counted() -> Option<u64> {
    own_cgroup().and_then(|path| counter(&format!("/sys/fs/cgroup{path}/memory.events"))).or_else(|| counter("/proc/vmstat"))
}

/// The path of this process in the unified hierarchy (cgroups(7)): the line that begins with `0::`.
fn own_cgroup() -> Option<String> {
    let text = text_of("/proc/self/cgroup")?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

fn counter(file: &str) -> Option<u64> {
    let text = text_of(file)?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|n| n.trim().parse().ok())
}

/// The text of a file of the kernel's, read in large pieces: it does not tell its length, and counts everything anew for each
/// piece.
fn text_of(path: &str) -> Option<String> {
    let mut text = Vec::with_capacity(3 * ROOM);
    let mut file = File::open(path).ok()?;
    loop {
        let old = text.len();
        text.resize(old + ROOM, 0);
        let n = file.read(text.get_mut(old..)?).ok()?;
        text.truncate(old + n);
        if n == 0 {
            return String::from_utf8(text).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_that_is_explained_speaks_for_no_other_worker() {
        let kills = |counted, explained| OomKills { counted, explained };
        let table = [
            (kills(0, 0), kills(0, 0), 0),
            (kills(0, 0), kills(1, 0), 1),
            (kills(0, 0), kills(1, 1), 0),
            (kills(7, 3), kills(7, 3), 0),
            // One worker in the place of another that was killed too, both reckoned from the same moment.
            (kills(0, 0), kills(2, 1), 1),
            (kills(7, 3), kills(9, 4), 1),
            (kills(7, 3), kills(9, 5), 0),
            // One that was counted before is explained only now.
            (kills(7, 3), kills(7, 4), 0),
            // The count began anew: the program was moved to another cgroup.
            (kills(7, 3), kills(1, 3), 0),
        ];
        for (before, now, expected) in table {
            assert_eq!(before.unexplained(now), expected, "{before:?} {now:?}");
        }
    }
}
