//! Whether this process is the one that made something, or a copy of it by fork(2): asked for each job, and so without a
//! system call.

use std::num::NonZero;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// The kernel gives memory in pages of at least so many bytes.
// Cannot fail: it is not zero.
const PAGE: NonZero<usize> = NonZero::new(4096).unwrap();

/// Remembers the process that made it.
#[derive(Debug)]
pub(crate) struct Original {
    /// Holds 1 here, and 0 in copies: the kernel wipes it there (`MADV_WIPEONFORK`, Linux 4.14).
    page: Option<NonNull<u32>>,
    /// Asked for where the kernel cannot do that.
    pid: u32,
}

// SAFETY: the page is written before the value is made, and then only read; it lives as long as the value.
unsafe impl Send for Original {}
// SAFETY: as for Send.
unsafe impl Sync for Original {}

impl Original {
    /// This process.
    pub(crate) fn this_process() -> Arc<Self> {
        static CURRENT: Mutex<Option<Arc<Original>>> = Mutex::new(None);
        let new = || Arc::new(Self { page: wiped_page(), pid: std::process::id() });
        // Not waited for: in a copy of the process, the thread that held it may not be there.
        let Ok(mut current) = CURRENT.try_lock() else { return new() };
        match &*current {
            Some(known) if !known.is_elsewhere() => Arc::clone(known),
            _ => Arc::clone(current.insert(new())),
        }
    }

    /// Whether that was another process than this one.
    pub(crate) fn is_elsewhere(&self) -> bool {
        match self.page {
            // SAFETY: the page is mapped, aligned and readable; nobody writes it but the kernel, before a copy runs.
            Some(page) => unsafe { page.as_ptr().read_volatile() == 0 },
            None => std::process::id() != self.pid,
        }
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        if let Some(page) = self.page {
            // SAFETY: this is the mapping that `wiped_page` made, in a copy as well, and no reference into it is left.
            let _ = unsafe { munmap(page.cast(), PAGE.get()) };
        }
    }
}

/// A page of this process's own that holds 1, and that copies find holding 0.
fn wiped_page() -> Option<NonNull<u32>> {
    // SAFETY: no address is asked for, so nothing that is mapped is replaced (mmap(2)).
    let page = unsafe { mmap_anonymous(None, PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE) }.ok()?;
    // SAFETY: the range is the mapping just made; the advice concerns copies only (madvise(2)).
    if unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_WIPEONFORK) }.is_err() {
        // SAFETY: the mapping was just made, and nobody knows of it.
        let _ = unsafe { munmap(page, PAGE.get()) };
        return None;
    }
    let page: NonNull<u32> = page.cast();
    // SAFETY: mapped for writing, aligned to a page, and nobody else's.
    unsafe { page.write(1) };
    Some(page)
}
