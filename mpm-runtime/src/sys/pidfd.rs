//! A process by a descriptor, which means that very process whoever reaps it and whoever gets its number later.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Instant;

use super::poll::readable_until;
use super::private::Private;

/// A flag of `pidfd_send_signal`: to the group that the process leads or led (Linux 6.9).
const PROCESS_GROUP: libc::c_uint = 1 << 2;

/// What `PIDFD_GET_INFO` fills in, in the size that it had first (`linux/pidfd.h`).
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`: read and write, of type 0xff, number 11, with the size of the structure (ioctl(2)).
const GET_INFO: libc::c_ulong = 3 << 30 | (size_of::<Info>() as libc::c_ulong) << 16 | 0xff << 8 | 11;
/// The bit of `mask` that asks for the exit code (Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;

/// Whether a signal could not be sent because its process has ended.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// A process.
#[derive(Debug)]
pub(crate) struct Pidfd(Private);

impl Pidfd {
    /// The process that has this number now.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: the call takes two numbers (pidfd_open(2)).
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else owns it.
        Ok(Self::from(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, number: i32) -> io::Result<()> {
        self.send(number, 0)
    }

    /// Sends SIGKILL to the process, and to all of its group if it leads one. False where the kernel knows no way to do
    /// the latter.
    pub(crate) fn kill_group(&self) -> bool {
        // It also reaches a process that has left its group.
        let _ = self.send(libc::SIGKILL, 0);
        match self.send(libc::SIGKILL, PROCESS_GROUP) {
            Err(error) => is_gone(&error),
            Ok(()) => true,
        }
    }

    /// Sends SIGTERM to all of the group that the process leads, or to the process alone where the kernel knows no way to do that.
    pub(crate) fn terminate_group(&self) {
        if self.send(libc::SIGTERM, PROCESS_GROUP).is_err() {
            // It is gone, or has left its group, or the kernel is older.
            let _ = self.send(libc::SIGTERM, 0);
        }
    }

    fn send(&self, number: i32, flags: libc::c_uint) -> io::Result<()> {
        let fd = self.0.as_fd().as_raw_fd();
        // SAFETY: the call takes numbers and a null pointer, which stands for an ordinary signal (pidfd_send_signal(2)).
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, ptr::null::<u8>(), flags) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ends_until(Some(Instant::now()))
    }

    /// Waits for its end, until the given moment or for ever; whether it has ended.
    pub(crate) fn ends_until(&self, until: Option<Instant>) -> bool {
        readable_until(&[self.as_fd()], until).unwrap_or(true)
    }

    /// A second handle.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::from(self.0.as_fd().try_clone_to_owned()?))
    }

    /// How a process ended that somebody else reaps, as waitpid(2) tells it; `None` where the kernel does not say. Its number was `pid`.
    pub(crate) fn wait_status(&self, pid: i32) -> Option<i32> {
        self.reaped_status().or_else(|| self.zombie_status(pid)).or_else(|| self.reaped_status())
    }

    /// The last field of proc_pid_stat(5) that is about its end.
    fn zombie_status(&self, pid: i32) -> Option<i32> {
        const EXIT_CODE: usize = 52 - 3;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = stat.rsplit_once(')')?.1;
        let status = fields.split_ascii_whitespace().nth(EXIT_CODE)?.parse().ok()?;
        let is_zombie = fields.trim_ascii_start().starts_with('Z');
        // A number that nobody has reaped by now was bound to this process all the time.
        (is_zombie && self.signal(0).is_ok()).then_some(status)
    }

    fn reaped_status(&self) -> Option<i32> {
        let mut info = Info { mask: INFO_EXIT, ..Info::default() };
        // SAFETY: `info` is a live object of the size that the request's number names.
        let result = unsafe { libc::ioctl(self.0.as_fd().as_raw_fd(), GET_INFO, &raw mut info) };
        (result == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
    }
}

impl From<OwnedFd> for Pidfd {
    /// Takes a pidfd that came over a socket.
    fn from(fd: OwnedFd) -> Self {
        Self(Private::from(fd))
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_has_the_size_that_the_kernel_knows() {
        assert_eq!(size_of::<Info>(), 64);
    }
}
