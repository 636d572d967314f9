//! One place to sleep for many descriptors: epoll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::private::Listed;

/// Waits until one of a few descriptors has something to read or has ended, until the given moment or for ever; whether one has.
pub(crate) fn readable_until(fds: &[BorrowedFd<'_>], until: Option<Instant>) -> io::Result<bool> {
    let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        let timeout = match until {
            None => PollTimeout::NONE,
            Some(until) => {
                let millis = until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
                i32::try_from(millis).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(0) if until.is_some_and(|until| until > Instant::now()) => {}
            Ok(0) => return Ok(false),
            Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until there is room to write to a descriptor, or nobody reads from it any more.
pub(crate) fn wait_writable(fd: impl AsFd) -> io::Result<()> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::NONE) {
        // Whoever waits tries again, and waits again.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An epoll instance. Each watched descriptor carries a key chosen by the caller.
#[derive(Debug)]
pub(crate) struct Poller {
    _listed: Listed,
    epoll: Epoll,
}

/// The keys of what is ready.
#[derive(Debug)]
pub(crate) struct Keys {
    events: [EpollEvent; 64],
    n: usize,
}

impl Keys {
    pub(crate) fn none() -> Self {
        Self { events: [EpollEvent::empty(); 64], n: 0 }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.events.iter().take(self.n).map(EpollEvent::data)
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { _listed: Listed::new(&epoll.0), epoll })
    }

    /// Watches `fd` for bytes to read, an end or an exit, level-triggered, until it is closed or removed.
    pub(crate) fn watch(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key))?)
    }

    /// Stops watching `fd`. Closing it does the same, unless another process still holds the description.
    pub(crate) fn forget(&self, fd: impl AsFd) {
        let _ = self.epoll.delete(fd);
    }

    /// Sleeps until something is ready or the time is over, and returns the keys that are ready.
    ///
    /// The time is rounded up to the next millisecond, so that a caller who waits for a moment finds it passed.
    /// It allocates nothing: whoever sleeps here may find this process copied when it wakes.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<Keys> {
        let timeout = timeout.map_or(EpollTimeout::NONE, |d| {
            let millis = d.as_nanos().div_ceil(1_000_000).min(1_000_000_000);
            EpollTimeout::try_from(u32::try_from(millis).unwrap_or(1_000_000_000)).unwrap_or(EpollTimeout::NONE)
        });
        let mut keys = Keys::none();
        match self.epoll.wait(&mut keys.events, timeout) {
            Ok(n) => Ok(Keys { n, ..keys }),
            Err(Errno::EINTR) => Ok(keys),
            Err(error) => Err(error.into()),
        }
    }
}
