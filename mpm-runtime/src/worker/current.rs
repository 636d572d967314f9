//! The job that runs, as its own code sees it: who runs it, which try it is, whether it is to end, how far it has come.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::resume_unwind;
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::link::{Desk, Request};
use crate::registry::Note;
use crate::start::current_process;
use crate::sys::{Original, cpu_nanos, monotonic_nanos};

/// What all jobs of a worker have in common.
struct Place {
    index: u32,
    desk: Desk,
    pid: u32,
    /// The worker. A copy of it that a job makes by fork has no link. Found out when a job first asks, and on its thread only:
    /// most workers run none that does, and it takes them a page.
    original: OnceLock<Option<Arc<Original>>>,
}

impl Place {
    /// As seen first.
    fn find(&self) -> Option<Arc<Original>> {
        (process::id() == self.pid).then(Original::this_process)
    }

    fn is_here(&self) -> bool {
        self.original.get().is_some_and(|original| original.as_ref().is_some_and(|original| !original.is_elsewhere()))
    }
}

/// What is known of one job.
#[derive(Clone, Copy, Debug)]
struct Now {
    number: u32,
    job: u64,
    attempt: u16,
    note: u32,
}

thread_local! {
    static PLACE: RefCell<Option<Arc<Place>>> = const { RefCell::new(None) };
    static NOW: Cell<Option<Now>> = const { Cell::new(None) };
}

/// To be called once, on the thread that runs the jobs.
pub(super) fn open(index: u32, desk: Desk) {
    PLACE.set(Some(Arc::new(Place { index, desk, pid: process::id(), original: OnceLock::new() })));
}

/// A job begins: that of `request`, or the one of that index if it has several.
pub(super) fn begin(request: &Request, index: u32, desk: &Desk) {
    let Request { seq: number, job, attempt, note, .. } = *request;
    NOW.set(Some(Now { number, job: job + u64::from(index), attempt, note }));
    if note != 0 {
        let cpu = if Note::unpack(note).measures_cpu { cpu_nanos(None).unwrap_or(0) } else { 0 };
        desk.begin(number, cpu);
    }
}

/// No job runs.
pub(super) fn end() {
    NOW.set(None);
}

/// What a job unwinds with that ends itself because it was asked to.
pub(super) struct EndedEarly;

/// The job that runs on this thread, as [`current`] gives it.
///
/// Clones of it can go to other threads of the job. What it says and does is for that job alone, also when a thread outlives it.
#[derive(Clone)]
pub struct Current {
    at: Option<(Arc<Place>, Now)>,
}

/// The job that runs on this thread.
///
/// On a thread that runs no job, as when the target is called as a plain function or on a thread that the job has started,
/// it stands for none: nobody asks it to end, and nobody hears of its progress. So a target needs no other code for tests.
///
/// ```
/// use std::time::Duration;
///
/// use mpm::{Failure, Pool, worker};
///
/// #[worker]
/// fn sum(to: u64) -> Result<u64, Failure> {
///     let current = mpm::current();
///     let mut sum = 0;
///     for n in 0..to {
///         if current.is_cancelled() {
///             return Err(Failure::new(format!("only came to {n}")));
///         }
///         current.progress(n, to);
///         sum += n;
///     }
///     Ok(sum)
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     assert_eq!(sum(4).unwrap(), 6);
///     let pool = Pool::builder().workers(1).build()?;
///     assert_eq!(pool.run(sum::job(1_000).timeout(Duration::from_secs(60)))?.unwrap(), 499_500);
///     Ok(())
/// }
/// ```
///
/// # Fork safety
/// In a copy of the worker that the job has made by fork it stands for no job.
#[must_use]
pub fn current() -> Current {
    let place = PLACE.with_borrow(Clone::clone);
    let place = place.filter(|place| {
        place.original.get_or_init(|| place.find());
        place.is_here()
    });
    Current { at: place.zip(NOW.get()) }
}

impl Current {
    fn at(&self) -> Option<&(Arc<Place>, Now)> {
        self.at.as_ref().filter(|(place, _)| place.is_here())
    }

    /// The name of the worker, or of this process if it is none.
    #[must_use]
    pub fn worker(&self) -> String {
        current_process().name().to_owned()
    }

    /// The worker's number in its pool, from 0; a worker that replaces another one has the same.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        self.at().map(|(place, _)| place.index)
    }

    /// The job's id, the one that [`JobHandle::id`](crate::JobHandle::id) gives.
    #[must_use]
    pub fn job(&self) -> Option<u64> {
        self.at().map(|(_, now)| now.job)
    }

    /// Which try at the job this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.at().map_or(1, |(_, now)| now.attempt.into())
    }

    /// When the job will have run too long, if it has a limit: that of its [`timeout`](crate::Job::timeout), in whole milliseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (place, now) = self.at()?;
        let limit = Note::unpack(now.note).limit?;
        let since = place.desk.since(now.number)?;
        let over = Duration::from_nanos(monotonic_nanos().saturating_sub(since));
        Instant::now().checked_add(limit)?.checked_sub(over)
    }

    /// Whether the job has been asked to end: it has run too long, it was [aborted](crate::JobHandle::abort), or its pool is
    /// shut down. It may still return a value, as long as its worker is not killed, and that value counts.
    ///
    /// Takes a few nanoseconds.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.at().is_some_and(|(place, now)| place.desk.notice(now.number) != 0)
    }

    /// Ends the job here if it has been asked to end: it unwinds, as if it panicked but without a word, and its outcome is
    /// [`TimedOut`](crate::JobError::TimedOut) or [`Cancelled`](crate::JobError::Cancelled). Its worker goes on.
    ///
    /// # Panics
    /// Unwinds, that is, if the job has been asked to end. To be called on the job's own thread; on another one it ends that.
    pub fn checkpoint(&self) {
        if self.is_cancelled() {
            resume_unwind(Box::new(EndedEarly));
        }
    }

    /// Says that `done` of `total` parts of the job are done, in whatever unit; [`JobHandle::progress`](crate::JobHandle::progress)
    /// shows it. A job with a [`timeout`](crate::Job::timeout) has all of that time again from now on.
    ///
    /// Takes some tens of nanoseconds, and no call to the parent.
    pub fn progress(&self, done: u64, total: u64) {
        if let Some((place, now)) = self.at() {
            place.desk.tell(now.number, done, total);
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at() {
            Some((_, now)) => write!(f, "Current(job {} in {}, attempt {})", now.job, self.worker(), now.attempt),
            None => f.write_str("Current(no job)"),
        }
    }
}
