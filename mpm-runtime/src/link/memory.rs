//! The memory under a link: the same protocol runs over two shared mappings, and over the heap in loom's models.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::layout::{Layout, ParentPage, WorkerPage};
use crate::error::WorkerExit;
use crate::sys::{Access, Mapping, Memfd, Ringer, exit_now, futex_wait, futex_wake, say};

/// What the protocol needs of its memory. Positions are offsets into the requests or responses memory.
pub(crate) trait Memory {
    fn parent_page(&self) -> &ParentPage;
    fn worker_page(&self) -> &WorkerPage;
    fn write_request(&self, at: usize, bytes: &[u8]);
    fn read_request(&self, at: usize, into: &mut [u8]);
    fn write_response(&self, at: usize, bytes: &[u8]);
    fn read_response(&self, at: usize, into: &mut [u8]);
    /// Worker: sleeps while its bell says `state`; may return early.
    fn sleep(&self, state: u32);
    /// Parent: ends the worker's sleep.
    fn wake(&self);
    /// Worker: rings the parent's doorbell.
    fn ring(&self);
    /// Worker: ends the sleep of the parent's thread on `tail`.
    fn wake_parent(&self);
    /// Worker: ends the sleep of the parent's thread on `calls`.
    fn wake_caller(&self);
}

/// The real thing: two mappings, and in the worker its end of the pool's doorbell.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    requests: Mapping,
    responses: Mapping,
    ringer: Option<Ringer>,
}

/// The descriptors by which the worker gets at the memory.
#[derive(Debug)]
pub(crate) struct LinkFds {
    requests: Memfd,
    responses: Memfd,
}

impl LinkFds {
    /// In the order in which `SharedMemory::open` takes them.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.requests.as_fd(), self.responses.as_fd()]
    }
}

impl SharedMemory {
    /// Parent: makes the memory. Requests are mapped here before the seal that lets nobody else map them for writing.
    pub(crate) fn create(layout: &Layout) -> io::Result<(Self, LinkFds)> {
        let requests = Memfd::sparse(c"mpm-requests", layout.requests_len())?;
        let responses = Memfd::sparse(c"mpm-responses", layout.responses_len())?;
        let this = Self {
            requests: Mapping::new(&requests, layout.requests_len(), Access::ReadWrite)?,
            responses: Mapping::new(&responses, layout.responses_len(), Access::ReadWrite)?,
            ringer: None,
        };
        requests.seal(true)?;
        responses.seal(false)?;
        // What a copy of this process wrote there would be the parent's word to another process's worker.
        this.requests.keep_from_copies()?;
        this.responses.keep_from_copies()?;
        this.check()?;
        Ok((this, LinkFds { requests, responses }))
    }

    /// Worker: maps what the parent made.
    pub(crate) fn open(requests: OwnedFd, responses: OwnedFd, ringer: OwnedFd, layout: &Layout) -> io::Result<Self> {
        let this = Self {
            requests: Mapping::new(&Memfd::adopt(requests), layout.requests_len(), Access::Read)?,
            responses: Mapping::new(&Memfd::adopt(responses), layout.responses_len(), Access::ReadWrite)?,
            ringer: Some(Ringer::from_fd(ringer)),
        };
        // A job may fork. A copy that returns from the job as well ends here, and cannot answer in the worker's place.
        this.responses.keep_from_copies()?;
        this.check()?;
        Ok(this)
    }

    /// Worker: the bytes of a request, in place.
    pub(crate) fn view_request(&self, at: usize, len: usize) -> &[u8] {
        self.requests.view(at, len)
    }

    /// The half of `tail` that changes with every frame, for a thread to sleep on.
    pub(crate) fn tail_word(&self) -> *const u32 {
        const _: () = assert!(cfg!(target_endian = "little"), "the low half comes first");
        std::ptr::from_ref(&self.worker_page().tail.0).cast()
    }

    /// For a thread to sleep on that has asked for one call.
    pub(crate) fn calls_word(&self) -> *const u32 {
        std::ptr::from_ref(&self.worker_page().calls.0).cast()
    }

    fn check(&self) -> io::Result<()> {
        let pages = self.requests.header::<ParentPage>().is_some() && self.responses.header::<WorkerPage>().is_some();
        if pages { Ok(()) } else { Err(io::Error::other("the memory of a link is too small for its pages")) }
    }
}

impl Memory for SharedMemory {
    #[inline]
    fn parent_page(&self) -> &ParentPage {
        page(&self.requests)
    }

    #[inline]
    fn worker_page(&self) -> &WorkerPage {
        page(&self.responses)
    }

    #[inline]
    fn write_request(&self, at: usize, bytes: &[u8]) {
        self.requests.write(at, bytes);
    }

    #[inline]
    fn read_request(&self, at: usize, into: &mut [u8]) {
        self.requests.read(at, into);
    }

    #[inline]
    fn write_response(&self, at: usize, bytes: &[u8]) {
        self.responses.write(at, bytes);
    }

    #[inline]
    fn read_response(&self, at: usize, into: &mut [u8]) {
        self.responses.read(at, into);
    }

    fn sleep(&self, state: u32) {
        futex_wait(std::ptr::from_ref(&self.worker_page().bell.0).cast(), state);
    }

    fn wake(&self) {
        futex_wake(std::ptr::from_ref(&self.worker_page().bell.0).cast());
    }

    fn wake_parent(&self) {
        futex_wake(self.tail_word());
    }

    fn wake_caller(&self) {
        futex_wake(self.calls_word());
    }

    fn ring(&self) {
        if self.ringer.as_ref().is_some_and(|ringer| !ringer.ring()) {
            // A job has closed it, and the parent would sleep on. The end of this process wakes it; what was answered until
            // now, it takes in before it looks at the end.
            say("mpm: worker ends: a job has closed the doorbell of its link");
            exit_now(WorkerExit::LinkDamaged.code());
        }
    }
}

/// A type that may lie at the start of a mapping: atomics only, for which every bit pattern is a value.
trait Page {}
impl Page for ParentPage {}
impl Page for WorkerPage {}

/// The words at the start of `mapping`.
#[expect(unsafe_code, reason = "the one cast from shared bytes to shared atomics")]
#[inline]
fn page<T: Page>(mapping: &Mapping) -> &T {
    // Cannot fail: `check` has seen that the page fits, before any value of this type was handed out.
    let start = mapping.header::<T>().expect("checked at creation");
    // SAFETY: `header` has checked size and alignment; the mapping lives as long as the borrow; the type is made of
    // atomics alone (`Page`), for which every bit pattern is valid and which other threads and processes may change
    // under a shared reference. A worker writing to the read-only page faults in the worker, which never does.
    unsafe { start.as_ref() }
}
