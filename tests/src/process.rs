//! Other processes, as `/proc` shows them, and signals to them.

#![expect(unsafe_code, reason = "sending a signal and tying a child to its parent have no safe form in std")]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// One line of `/proc/PID/stat`, as far as the tests need it.
pub(crate) struct Stat {
    pub(crate) name: String,
    /// `R`, `S`, `Z` and so on.
    pub(crate) state: char,
    pub(crate) parent: u32,
}

impl Stat {
    /// None where there is no such process.
    pub(crate) fn read(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// A name may hold anything, brackets and spaces included, so the last bracket ends it.
    pub(crate) fn parse(line: &str) -> Option<Stat> {
        let (head, tail) = line.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let mut fields = tail.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        Some(Stat { name: name.to_owned(), state, parent })
    }

    /// Dead, but not yet reaped.
    fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The children of `pid` that run code of the user's, in the order of their numbers: in the place of a template, which only
/// forks workers, those workers.
///
/// # Panics
/// If there is no `/proc`.
pub fn children_of(pid: u32) -> Vec<u32> {
    let is_below_template = is_template_by_arguments(pid);
    let mut children = Vec::new();
    for child in direct_children_of(pid) {
        let Some(stat) = Stat::read(child) else { continue };
        if stat.name == STARTING {
            continue;
        }
        let by_name = || stat.name == TEMPLATE && stat.state != 'Z';
        if by_name() || (!is_below_template && is_template_by_arguments(child)) {
            children.extend(direct_children_of(child));
        } else {
            children.push(child);
        }
    }
    children.sort_unstable();
    children
}

/// The templates of `pid`: processes of mpm's that only fork workers.
pub fn templates_of(pid: u32) -> Vec<u32> {
    let is_below_template = is_template_by_arguments(pid);
    let is_template = |child: &u32| {
        Stat::read(*child).is_some_and(|stat| stat.name == TEMPLATE) || (!is_below_template && is_template_by_arguments(*child))
    };
    direct_children_of(pid).into_iter().filter(is_template).collect()
}

/// What a template is called, once it has come so far.
const TEMPLATE: &str = "mpm-template";

/// The thread that starts processes, whose name a process has until its exec: then it runs no code of the user's yet.
const STARTING: &str = "mpm-starter";

/// A template that was started by exec has its role in its command line from the first moment on; its workers have it too.
fn is_template_by_arguments(pid: u32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let last = arguments.split(|byte| *byte == 0).rfind(|argument| !argument.is_empty());
    last.is_some_and(|last| last.starts_with(b"mpm-template:"))
}

fn direct_children_of(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there on Linux");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        // A process that ends between the two looks has no line any more, and is nobody's child.
        .filter(|candidate| Stat::read(*candidate).is_some_and(|stat| stat.parent == pid))
        .collect()
}

/// Whether the process has ended, as far as this process is concerned.
///
/// A child of this process is gone only when it is also reaped: a zombie of ours is a leak of ours. A zombie of another
/// parent runs no more and cannot be reaped from here, so it counts as gone.
///
/// ```
/// assert!(!mpm_tests::process_gone(std::process::id()));
/// ```
pub fn process_gone(pid: u32) -> bool {
    Stat::read(pid).is_none_or(|stat| stat.is_zombie() && stat.parent != std::process::id())
}

/// Sends a signal to one process.
///
/// # Panics
/// If the signal cannot be sent, because the process is gone for example; and for pids that mean a group.
pub fn kill(pid: u32, signal: i32) {
    assert!(try_kill(pid, signal), "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// As [`kill`], for a process that may be gone already: false then.
///
/// # Panics
/// For pids that mean a group.
pub fn try_kill(pid: u32, signal: i32) -> bool {
    let target = libc::pid_t::try_from(pid).expect("a pid fits into a pid_t");
    assert!(target > 1, "{pid} is no single process of a test");
    // SAFETY: kill(2) takes two integers by value and touches no memory of ours.
    unsafe { libc::kill(target, signal) == 0 }
}

/// Has the kernel kill the child when the thread that starts it ends, however it ends. Ctrl-C means to it what it usually
/// means, also where this process was started in the background and so ignores it.
pub(crate) fn die_with_parent(command: &mut Command) -> &mut Command {
    let tie = || {
        // SAFETY: SIG_DFL installs no code; signal(2) is one system call here.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        // SAFETY: prctl(2) with PR_SET_PDEATHSIG takes one integer by value and touches no memory of ours.
        let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: `pre_exec` asks that the closure does only what is safe between fork and exec: prctl(2) and signal(2) are one system
    // call each, and `last_os_error` reads errno; neither allocates nor takes a lock.
    unsafe { command.pre_exec(tie) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    #[test]
    fn a_strange_name_does_not_shift_the_fields() {
        let stat = Stat::parse("12 (a) R 9 (b) S 34 12 12 0 -1").unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), ("a) R 9 (b", 'S', 34));
    }

    #[test]
    fn a_child_is_seen_until_it_is_reaped() {
        let me = std::process::id();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        assert!(children_of(me).contains(&pid));
        assert!(!process_gone(pid));

        kill(pid, libc::SIGKILL);
        wait_until("the child is a zombie", || Stat::read(pid).is_some_and(|stat| stat.is_zombie()));
        assert!(children_of(me).contains(&pid), "a zombie of ours is still ours");
        assert!(!process_gone(pid), "a zombie of ours is not gone");

        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(process_gone(pid));
        assert!(!children_of(me).contains(&pid));
    }

    #[test]
    fn a_zombie_of_another_parent_is_gone() {
        // The shell starts a child, tells its pid, and becomes a program that never reaps.
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 0 & echo $!; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        wait_until("the grandchild has ended", || process_gone(pid));
        kill(shell.id(), libc::SIGKILL);
        shell.wait().unwrap();
    }

    #[test]
    #[should_panic(expected = "is no single process")]
    fn a_group_is_no_target() {
        kill(0, libc::SIGTERM);
    }
}
