//! What the kernel tells of a process while it runs: how much memory it holds, and whether it is stopped.

use std::fs::File;
use std::io::Read;

/// Longer than what is looked at: some numbers, a name of 15 bytes.
const ROOM: usize = 256;

/// How many bytes this process holds in memory: its resident set, as ps(1) shows it. `None` where the system does not tell.
///
/// The file is opened anew each time: a job may close descriptors that it does not own, and open others of their numbers.
pub(crate) fn resident() -> Option<u64> {
    resident_in("/proc/self/statm")
}

/// The same of another process, which is not reaped yet.
pub(crate) fn resident_of(pid: u32) -> Option<u64> {
    resident_in(&format!("/proc/{pid}/statm"))
}

/// The state of another process, as the third field of proc_pid_stat(5) tells it: `T` if a signal has stopped it.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    state_in(&beginning_of(&format!("/proc/{pid}/stat"))?)
}

/// The second field of proc_pid_statm(5), which counts pages.
fn resident_in(path: &str) -> Option<u64> {
    let text = beginning_of(path)?;
    let pages: u64 = std::str::from_utf8(&text).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

/// The name before it may hold anything, a bracket too, and need not be text.
fn state_in(stat: &[u8]) -> Option<char> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(name_end + 2).map(|byte| char::from(*byte))
}

fn beginning_of(path: &str) -> Option<[u8; ROOM]> {
    let mut text = [0; ROOM];
    // The kernel gives such a file in one piece.
    let n = File::open(path).ok()?.read(&mut text).ok()?;
    (n > 0).then_some(text)
}

fn page_size() -> u64 {
    // SAFETY: sysconf(3) takes a number; the size of a page is always known.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_what_it_touches() {
        let before = resident().unwrap_or(0);
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident().unwrap_or(0);
        assert!(before > 0 && after >= before + touched.len() as u64 / 2, "{before} and then {after}");
        assert!(resident_of(std::process::id()).is_some());
    }

    #[test]
    fn a_state_is_found_behind_any_name() {
        let table: [(&[u8], _); 4] =
            [(b"12 (a) T 1 2", Some('T')), (b"12 (a) R 9 (\xff) S 34", Some('S')), (b"12", None), (b"12 (a)", None)];
        for (stat, expected) in table {
            assert_eq!(state_in(stat), expected);
        }
        assert!(state_of(std::process::id()).is_some());
        assert_eq!(state_of(u32::MAX), None);
    }
}
