//! Shared memory without a name: sealed memfds and their mappings.
//!
//! A mapping is raw bytes that another process may change at any moment. It hands out no `&[u8]` to such bytes: the only
//! ways in and out are bounds-checked copies, and one borrowed view for the side that the protocol makes the sole owner.

use std::ffi::CStr;
use std::io;
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// How many bytes are reserved by one call.
const STEP: usize = 1024 * 1024;

/// An anonymous file in memory.
#[derive(Debug)]
pub(crate) struct Memfd(OwnedFd);

impl Memfd {
    /// Makes one of `len` bytes, all zero, whose pages come on first touch.
    pub(crate) fn sparse(name: &CStr, len: usize) -> io::Result<Self> {
        // Beyond this limit the system does not only refuse but sends SIGXFSZ, which ends the process (setrlimit(2)).
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
        if limit < len as u64 {
            let text = format!("{len} bytes of shared memory are above the limit on the size of files, {limit} (ulimit -f)");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&fd, offset(len)?)?;
        Ok(Self(fd))
    }

    /// Makes one of `len` bytes whose pages are there already: for want of memory this call fails, not a later write.
    pub(crate) fn reserved(name: &CStr, len: usize) -> io::Result<Self> {
        let memfd = Self::sparse(name, len)?;
        for start in (0..len).step_by(STEP) {
            // In steps that a signal may interrupt: a call for the whole begins anew each time (fallocate(2), EINTR).
            while let Err(error) = fallocate(&memfd.0, FallocateFlags::empty(), offset(start)?, offset(STEP.min(len - start))?) {
                if error != Errno::EINTR {
                    return Err(error.into());
                }
            }
        }
        Ok(memfd)
    }

    /// Fixes the size for ever. With `future_write`, processes that map it from now on can map it only for reading.
    pub(crate) fn seal(&self, future_write: bool) -> io::Result<()> {
        let mut seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
        if future_write {
            seals |= SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
        }
        fcntl(&self.0, FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
        Ok(())
    }

    /// Takes a descriptor from the parent, which every worker trusts.
    pub(crate) fn adopt(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Takes a descriptor from another process. It is refused unless it is a memfd (only those answer
    /// `F_GET_SEALS`) of at least `len` bytes that nobody can shrink or punch holes into: touching a mapping where its file
    /// has no memory may end this process by SIGBUS (mmap(2)). `F_SEAL_FUTURE_WRITE` forbids the holes.
    pub(crate) fn from_foreign(fd: OwnedFd, len: usize) -> io::Result<Self> {
        let seals = SealFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GET_SEALS)?);
        if !seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory could be shrunk or punched"));
        }
        let stat = fstat(&fd)?;
        // st_blocks counts what is really there, in 512 bytes: a sparse file is no licence to make the reader allocate.
        if stat.st_size < offset(len)? || stat.st_blocks < offset(len.div_ceil(512))? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory is shorter than it was said to be"));
        }
        Ok(Self(fd))
    }
}

impl AsFd for Memfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn offset(len: usize) -> io::Result<libc::off_t> {
    libc::off_t::try_from(len).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the length is beyond what a file can have"))
}

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// A shared mapping of the first `len` bytes of a memfd.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    access: Access,
    /// The process that mapped it; copies of that made by fork(2) may not have it.
    owner: u32,
}

// SAFETY: the mapping is owned by this value and lives until its drop; its bytes are reached only by copies whose races
// are covered below, so neither moving nor sharing the value between threads adds anything.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(memfd: &Memfd, len: usize, access: Access) -> io::Result<Self> {
        let size = NonZero::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let prot = match access {
            Access::Read => ProtFlags::PROT_READ,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        // SAFETY: no address is asked for, so the kernel picks a free range and no existing memory is replaced
        // (mmap(2)); the file is at least `len` long and sealed against shrinking before another process gets it.
        let start = unsafe { mmap(None, size, prot, MapFlags::MAP_SHARED, memfd, 0) }?;
        Ok(Self { start: start.cast(), len, access, owner: std::process::id() })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keeps the mapping out of copies of this process made by fork(2).
    pub(crate) fn keep_from_copies(&self) -> io::Result<()> {
        // SAFETY: the range is this mapping; MADV_DONTFORK changes nothing in this process (madvise(2)).
        Ok(unsafe { madvise(self.start.cast(), self.len, MmapAdvise::MADV_DONTFORK) }?)
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Panics
    /// Where the range is outside the mapping or the mapping is for reading: a bug in this crate, never an input.
    #[inline]
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        assert!(self.access == Access::ReadWrite, "write to a read-only mapping");
        self.check(at, bytes.len());
        // SAFETY: `check` has shown that `at` lies inside the mapping.
        let to = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: the range lies inside the mapping, which is writable and lives as long as `self`; `bytes` is a Rust
        // slice and so never overlaps it. The protocol of the ring gives the range to this side alone; another process
        // that breaks it changes values, which its readers check, not the validity of this copy.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies from `at` into `into`. The bytes are whatever the other process left there.
    ///
    /// # Panics
    /// Where the range is outside the mapping: a bug in this crate, never an input.
    #[inline]
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        // SAFETY: `check` has shown that `at` lies inside the mapping.
        let from = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: as in `write`, the other way round. Any bytes are valid `u8`s, whoever writes them meanwhile.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    /// The bytes at `at` as a slice, without a copy.
    ///
    /// For the worker only: it reads arguments that the parent published and leaves alone until the job's response. The
    /// worker trusts its parent, which it is a copy of.
    ///
    /// # Panics
    /// Where the range is outside the mapping: a bug in this crate, never an input.
    pub(crate) fn view(&self, at: usize, len: usize) -> &[u8] {
        self.check(at, len);
        // SAFETY: `check` has shown that `at` lies inside the mapping.
        let from = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: the range is mapped for as long as `self` is borrowed. No one writes it meanwhile: this side mapped
        // it for reading, and the parent reuses a request's bytes only after its response (link/requests.rs).
        unsafe { std::slice::from_raw_parts(from, len) }
    }

    /// The address of the `T` at the start of the mapping, if it fits and is aligned there.
    pub(crate) fn header<T>(&self) -> Option<NonNull<T>> {
        let start: NonNull<T> = self.start.cast();
        (size_of::<T>() <= self.len && start.is_aligned()).then_some(start)
    }

    fn check(&self, at: usize, len: usize) {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "{len} bytes at {at} of a mapping of {}", self.len);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a copy of the process something else may lie there.
        if self.owner == std::process::id() {
            // SAFETY: start and len are those that mmap returned, and no reference into the mapping outlives `self`.
            let _ = unsafe { munmap(self.start.cast(), self.len) };
        }
    }
}
