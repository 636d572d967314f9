//! An allocator that counts: how often a thread or the process has asked for memory, and how many bytes it has. A test program
//! makes it its own by `#[global_allocator]`; its workers, which are the same program, then count too.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait, whose every call is passed on as it came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The system's allocator, with counts.
#[derive(Debug)]
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    // Made without code and dropped without code, so that the allocator may use it at any time.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

fn count(freed: usize, taken: usize) {
    let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    BYTES.fetch_add(signed(taken) - signed(freed), Ordering::Relaxed);
    if taken > 0 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        HERE.set(HERE.get() + 1);
    }
}

// SAFETY: every call is handed to the system's allocator with the arguments that it came with, and its answer is handed back: what
// `GlobalAlloc` asks of an allocator, that one keeps. Counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller keeps the conditions of `GlobalAlloc::alloc`, which are the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as in `alloc`; the memory came from the system's allocator, as all that this one hands out.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// How often the calling thread has asked for memory, or for more of it.
#[must_use]
pub fn allocations_here() -> u64 {
    HERE.get()
}

/// How often this process has.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// The bytes that this process has asked for and not given back.
#[must_use]
pub fn bytes_in_use() -> i64 {
    BYTES.load(Ordering::Relaxed)
}
