//! The control socket: whole messages with descriptors beside them, between the parent and one worker.

use std::io::{self, IoSlice};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, getsockopt, sendmsg, socketpair, sockopt};

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

    /// How long the next message is, which stays where it is; waits for one unless `now`. 0 when the other end is gone.
    pub(crate) fn next_len(&self, now: bool) -> io::Result<usize> {
        let flags = libc::MSG_PEEK | libc::MSG_TRUNC | if now { libc::MSG_DONTWAIT } else { 0 };
        loop {
            // SAFETY: no byte is asked for, so nothing is written to the null pointer; with MSG_TRUNC the length is that of the
            // message all the same (recv(2)).
            let n = unsafe { libc::recv(self.0.as_fd().as_raw_fd(), std::ptr::null_mut(), 0, flags) };
            match usize::try_from(n) {
                Ok(n) => return Ok(n),
                Err(_) => match Errno::last() {
                    // As in `receive`.
                    Errno::EINTR | Errno::ECONNRESET => {}
                    error => return Err(error.into()),
                },
            }
        }
    }

    /// Receives one message into `into`; waits for it unless `now`. `UnexpectedEof` when the other end is gone.
    pub(crate) fn receive(&self, into: &mut [u8], now: bool) -> io::Result<(usize, Vec<OwnedFd>)> {
        let (n, fds) = self.receive_even_cut(into, now)?;
        Ok((n, fds.ok_or(Errno::EMFILE)?))
    }

    /// As [`receive`](Self::receive); of a message whose descriptors this process has no room for, it has the bytes, and `None`.
    pub(crate) fn receive_even_cut(&self, into: &mut [u8], now: bool) -> io::Result<(usize, Option<Vec<OwnedFd>>)> {
        // Words, so that the kernel's headers are aligned in them.
        let mut space = [0u64; (MOST_FDS * size_of::<RawFd>() + 64) / 8];
        self.receive_with(&mut space, into, now)
    }

    /// nix gives no descriptors of a message of which some were cut off, and would leak the ones that did come.
    fn receive_with(&self, space: &mut [u64], into: &mut [u8], now: bool) -> io::Result<(usize, Option<Vec<OwnedFd>>)> {
        let flags = libc::MSG_CMSG_CLOEXEC | if now { libc::MSG_DONTWAIT } else { 0 };
        loop {
            let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
            // SAFETY: all-zero is a valid msghdr: no address, no parts, no control data (recvmsg(2)).
            let mut message: libc::msghdr = unsafe { zeroed() };
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = space.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(space) as _;
            // SAFETY: `message` leads to live buffers of the lengths that it says, which nobody else uses meanwhile.
            let n = unsafe { libc::recvmsg(self.0.as_fd().as_raw_fd(), &raw mut message, flags) };
            let Ok(n) = usize::try_from(n) else {
                match Errno::last() {
                    // The other end closed and left messages unread. That is told once, before what it has sent itself.
                    Errno::EINTR | Errno::ECONNRESET => continue,
                    error => return Err(error.into()),
                }
            };
            // Whatever is wrong with the message, these are ours to close.
            let fds = descriptors(&message);
            return if message.msg_flags & libc::MSG_CTRUNC != 0 {
                Ok((n, None))
            } else if message.msg_flags & libc::MSG_TRUNC != 0 {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a control message was longer than any of ours"))
            } else if n == 0 && fds.is_empty() {
                Err(io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok((n, Some(fds)))
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

/// The descriptors beside a message that recvmsg(2) has just received.
fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in `message`, and its control data lies in a live buffer (cmsg(3)).
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: a pointer that is not null leads to a header inside of the control data (cmsg(3)).
        let header = unsafe { next.read_unaligned() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: as above; the data begins behind the header.
            let data: *const RawFd = unsafe { libc::CMSG_DATA(next) }.cast();
            // SAFETY: computes from a number.
            let before = unsafe { libc::CMSG_LEN(0) } as usize;
            for at in 0..(header.cmsg_len as usize).saturating_sub(before) / size_of::<RawFd>() {
                // SAFETY: `cmsg_len` counts the header and so many whole numbers behind it.
                let number = unsafe { data.add(at) };
                // SAFETY: as above.
                let number = unsafe { number.read_unaligned() };
                // SAFETY: the kernel has just made this descriptor for this process, and nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: as for the first one.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    fds
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Pipe, read_available, set_nonblocking};

    /// A pipe's reading end, and a message with its writing end three times on its way to the socket.
    fn three_on_their_way() -> (Socket, OwnedFd) {
        let (socket, other) = Socket::pair().unwrap();
        let Pipe { read, write } = Pipe::new().unwrap();
        set_nonblocking(&read).unwrap();
        let numbers = [write.as_raw_fd(); 3];
        let rights = [ControlMessage::ScmRights(&numbers)];
        sendmsg::<()>(other.as_fd().as_raw_fd(), &[IoSlice::new(b"three")], &rights, MsgFlags::empty(), None).unwrap();
        (socket, read)
    }

    #[test]
    fn descriptors_come_with_their_message() {
        let (socket, read) = three_on_their_way();
        let mut bytes = [0; 16];
        assert_eq!(socket.next_len(true).unwrap(), 5);
        let (n, fds) = socket.receive(&mut bytes, true).unwrap();
        assert_eq!((&bytes[..n], fds.len()), (&b"three"[..], 3));
        assert_eq!(read_available(&read, &mut bytes), None, "the pipe can still be written to");
        drop(fds);
        assert_eq!(read_available(&read, &mut bytes), Some(0));
        assert_eq!(socket.receive(&mut bytes, true).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// The ones that had come stayed open for ever.
    #[test]
    fn descriptors_of_a_message_that_was_cut_off_are_closed() {
        // Room for one of them, as if this process could have no more.
        for (room, length) in [(3, 16), (3, 2), (0, 16)] {
            let (socket, read) = three_on_their_way();
            let mut bytes = [0; 16];
            let (n, fds) = socket.receive_with(&mut [0; 8][..room], &mut bytes[..length], true).unwrap();
            assert!(fds.is_none() && &bytes[..n] == &b"three"[..n] && n >= 2);
            assert_eq!(read_available(&read, &mut bytes), Some(0), "room for {room} words");
        }
    }

    /// It was reported in place of what the other end had sent.
    #[test]
    fn what_was_sent_before_the_other_end_closed_with_messages_unread_arrives() {
        let (socket, other) = Socket::pair().unwrap();
        socket.send(b"unread", &[]).unwrap();
        sendmsg::<()>(other.as_fd().as_raw_fd(), &[IoSlice::new(b"sent")], &[], MsgFlags::empty(), None).unwrap();
        drop(other);
        let mut bytes = [0; 16];
        assert_eq!(socket.next_len(true).unwrap(), 4);
        assert_eq!(socket.receive(&mut bytes, true).unwrap().0, 4);
        assert_eq!(socket.next_len(true).unwrap(), 0);
        assert_eq!(socket.receive(&mut bytes, true).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
