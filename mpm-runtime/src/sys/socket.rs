//! The control socket: whole messages with descriptors beside them, between the parent and one worker.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, getsockopt, recvmsg, sendmsg, socketpair,
    sockopt,
};

use super::private::Private;

/// The most descriptors that one message may carry, whoever sends it: `SCM_MAX_FD` of the kernel (unix(7)). With room for
/// all of them a truncated message means one thing only: this process has no descriptor left.
const MOST_FDS: usize = 253;

/// One end of a `SOCK_SEQPACKET` pair, which keeps message boundaries and reports the other end's close (unix(7)).
#[derive(Debug)]
pub(crate) struct Socket(Private);

/// Takes over descriptor `number`, if it is a sequenced-packet socket; `None` for anything else.
pub(crate) fn socket_from_raw(number: RawFd) -> Option<Socket> {
    if number < 3 {
        return None;
    }
    // SAFETY: the descriptor is only looked at here; a number that is not open makes getsockopt answer EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    if getsockopt(&borrowed, sockopt::SockType) != Ok(SockType::SeqPacket) {
        return None;
    }
    // SAFETY: `number` came from the token that the parent passed on the command line for this process alone, and it is
    // a socket of the kind that only the parent left open across the exec. Code that stands before `init` and opens
    // descriptors gets higher numbers, since this one is taken; that it closes numbers which it does not own, and opens
    // such a socket in its place, is the one thing that is assumed not to happen.
    Some(Socket(Private::from(unsafe { OwnedFd::from_raw_fd(number) })))
}

impl Socket {
    /// Two ends. The second is for another process, and not private to this one.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(a.into()), b))
    }

    /// A second handle to the same end.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.as_fd().try_clone_to_owned()?.into()))
    }

    /// Sends one message at once or fails with `WouldBlock`.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<()>(self.0.as_fd().as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives one message into `into`; waits for it unless `now`. `UnexpectedEof` when the other end is gone.
    pub(crate) fn receive(&self, into: &mut [u8], now: bool) -> io::Result<(usize, Vec<OwnedFd>)> {
        let mut space = cmsg_space!([RawFd; MOST_FDS]);
        let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
        flags.set(MsgFlags::MSG_DONTWAIT, now);
        loop {
            let mut parts = [IoSliceMut::new(into)];
            let message = match recvmsg::<()>(self.0.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Ok(message) => message,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut fds = Vec::new();
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::ScmRights(received) = control {
                    // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
                    fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            return if message.flags.contains(MsgFlags::MSG_CTRUNC) {
                Err(Errno::EMFILE.into())
            } else if message.flags.contains(MsgFlags::MSG_TRUNC) {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a control message was longer than any of ours"))
            } else if message.bytes == 0 && fds.is_empty() {
                Err(io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok((message.bytes, fds))
            };
        }
    }
}

impl From<OwnedFd> for Socket {
    /// Takes a socket that came over another one.
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
