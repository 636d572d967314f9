//! Signals that the program has asked to have caught: a handler writes the number of each into a pipe, and does nothing else.
//!
//! | a signal is | then |
//! |---|---|
//! | caught: [`catch`] has put the handler there | its number comes out of [`caught_signals`] |
//! | let go: what `catch` returned is dropped | whatever was there before acts again |
//!
//! In a process that the user forks, the handler finds that it is not the one that catches, and gives way to the default action.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

use nix::errno::Errno;

use super::fd::{Pipe, set_nonblocking};
use super::private::Private;

/// Where the handler writes to.
#[derive(Debug)]
struct Way {
    write: Private,
    process: u32,
}

/// Set before the first handler is installed, and never changed: the handler may read it at any moment.
static WAY: OnceLock<Way> = OnceLock::new();

/// A signal that is caught as long as this lives.
#[derive(Debug)]
pub(crate) struct Caught {
    signal: i32,
    before: Before,
}

/// What was done with a signal before.
struct Before(libc::sigaction);

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before")
    }
}

/// Opens the pipe that caught signals come out of, a byte for each. To be done once in a process.
///
/// # Errors
/// When it was done before, by a process of which this is a copy; when the system has no descriptor left.
pub(crate) fn caught_signals() -> io::Result<Private> {
    let Pipe { read, write } = Pipe::new()?;
    set_nonblocking(&read)?;
    set_nonblocking(&write)?;
    let way = Way { write: write.into(), process: std::process::id() };
    WAY.set(way).map_err(|_| io::Error::other("this process is a copy of one that catches signals, and cannot do so itself"))?;
    Ok(read.into())
}

extern "C" fn note(signal: libc::c_int) {
    let errno = Errno::last_raw();
    // SAFETY: getpid(2) takes nothing, cannot fail and is async-signal-safe (signal-safety(7)).
    let me = unsafe { libc::getpid() };
    // A look at a cell that is set is a load (std::sync::OnceLock::get); it was set before this was installed.
    match WAY.get().filter(|way| i32::try_from(way.process) == Ok(me)) {
        Some(way) => {
            let number = u8::try_from(signal).unwrap_or(0);
            // SAFETY: the byte is live, and the descriptor is open as long as the process. write(2) is async-signal-safe. A pipe that
            // is full holds enough of them.
            unsafe { libc::write(way.write.as_fd().as_raw_fd(), (&raw const number).cast(), 1) };
        }
        None => {
            // SAFETY: SIG_DFL installs no code; the call is async-signal-safe (signal-safety(7)).
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // SAFETY: raise(3) takes a number and is async-signal-safe. The signal comes when this handler returns.
            unsafe { libc::raise(signal) };
        }
    }
    Errno::set_raw(errno);
}

/// Catches a signal from now on. [`caught_signals`] was called before.
///
/// # Errors
/// When it is none that can be caught.
pub(crate) fn catch(signal: i32) -> io::Result<Caught> {
    const FAULTS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    if FAULTS.contains(&signal) {
        return Err(Errno::EINVAL.into());
    }
    // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both structures are live; the handler calls nothing but async-signal-safe functions, and lives as long as the
    // program (sigaction(2)).
    match unsafe { libc::sigaction(signal, &raw const action, &raw mut before) } {
        0 => Ok(Caught { signal, before: Before(before) }),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Drop for Caught {
    /// Whoever has put a handler of his own there meanwhile keeps it.
    fn drop(&mut self) {
        // SAFETY: all-zero is a valid sigaction.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a null new action only reads the present one into a live object (sigaction(2)).
        let known = unsafe { libc::sigaction(self.signal, std::ptr::null(), &raw mut now) } == 0;
        if known && now.sa_sigaction == note as *const () as libc::sighandler_t {
            // SAFETY: it is what sigaction(2) returned as the action before, which the program had put there.
            unsafe { libc::sigaction(self.signal, &raw const self.before.0, std::ptr::null_mut()) };
        }
    }
}

/// Sends this process a signal.
pub(crate) fn send_to_self(signal: i32) {
    // SAFETY: both calls take numbers (kill(2)).
    let me = unsafe { libc::getpid() };
    // SAFETY: as above.
    unsafe { libc::kill(me, signal) };
}
