//! What the two sides say to each other about the job that runs: the parent that it shall end, the worker since when it runs and how
//! far it has come. Words without a protocol: whoever is interested looks.
//!
//! | word | written by | read by |
//! |---|---|---|
//! | `notice` = `{ number, kind }` | the parent, to ask job `number` to end | the worker, when the job asks |
//! | `marks` | the worker, when a job begins that has a note | the parent, at that job's limit |
//! | `progress` | the worker, when the job tells | the parent, at the job's limit and when somebody asks |
//!
//! Each names the request that it is about, so none of them is ever taken for another job's. `number` is written last and read
//! first (Release, Acquire); what a reader finds is then that job's or a later one's, which can only be younger.

use super::memory::Memory;
use super::parent::ParentEnd;
use super::sync::{AtomicU32, AtomicU64, Ordering};

/// Since when a job runs.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct MarkWords {
    number: AtomicU32,
    started: AtomicU64,
    cpu: AtomicU64,
}

/// How far a job has come.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct ProgressWords {
    number: AtomicU32,
    at: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

/// When a job began, in nanoseconds of the monotonic clock, and its worker's CPU time then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) started: u64,
    pub(crate) cpu: u64,
}

/// What a job has told of itself: when, in nanoseconds of the monotonic clock, and how much of how much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) at: u64,
    pub(crate) done: u64,
    pub(crate) total: u64,
}

const fn pack(number: u32, kind: u32) -> u64 {
    // { number, kind }: low half number, high half kind.
    number as u64 | (kind as u64) << 32
}

/// A request's number as it stands in a word whose 0 means none.
const fn named(number: u32) -> u32 {
    // One number in 2³² goes without: what is said of it is not heard.
    number.wrapping_add(1)
}

/// Worker: what request `number` is asked to do; 0 for nothing.
pub(super) fn notice(memory: &impl Memory, number: u32) -> u32 {
    let word = memory.parent_page().notice.0.load(Ordering::Relaxed);
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the word are taken apart on purpose")]
    let (of, kind) = (word as u32, (word >> 32) as u32);
    if of == number { kind } else { 0 }
}

impl MarkWords {
    /// Worker: request `number` begins.
    pub(super) fn begin(&self, number: u32, marks: Marks) {
        self.started.store(marks.started, Ordering::Relaxed);
        self.cpu.store(marks.cpu, Ordering::Relaxed);
        // Release pairs with the Acquire in `of`.
        self.number.store(named(number), Ordering::Release);
    }

    /// When request `number` began, if it is the last one that did.
    pub(super) fn of(&self, number: u32) -> Option<Marks> {
        // Acquire pairs with the Release in `begin`.
        let is_it = self.number.load(Ordering::Acquire) == named(number);
        is_it.then(|| Marks { started: self.started.load(Ordering::Relaxed), cpu: self.cpu.load(Ordering::Relaxed) })
    }
}

impl ProgressWords {
    /// Worker: request `number` has come so far.
    pub(super) fn tell(&self, number: u32, progress: Progress) {
        self.at.store(progress.at, Ordering::Relaxed);
        self.done.store(progress.done, Ordering::Relaxed);
        self.total.store(progress.total, Ordering::Relaxed);
        // Release pairs with the Acquire in `of`.
        self.number.store(named(number), Ordering::Release);
    }

    /// How far request `number` has come, if it is the last one that has said so.
    pub(super) fn of(&self, number: u32) -> Option<Progress> {
        // Acquire pairs with the Release in `tell`.
        let is_it = self.number.load(Ordering::Acquire) == named(number);
        is_it.then(|| Progress {
            at: self.at.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        })
    }
}

impl ParentEnd {
    /// Asks request `number` to end, for a reason of this kind, which is not 0. Another request is not asked any more.
    pub(crate) fn notify(&self, number: u32, kind: u32) {
        self.memory.parent_page().notice.0.store(pack(number, kind), Ordering::Relaxed);
    }

    /// When request `number` began, if it has begun and has a note.
    pub(crate) fn marks(&self, number: u32) -> Option<Marks> {
        self.memory.worker_page().marks.0.of(number)
    }

    /// What request `number` has told of itself last.
    pub(crate) fn progress(&self, number: u32) -> Option<Progress> {
        self.memory.worker_page().progress.0.of(number)
    }
}
