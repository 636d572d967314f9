//! The threads on which a pool calls its user's code, one call after the other, in the order in which it has happened. One calls
//! what listens to events, what takes the results of `on_stop` jobs, what is to be called with a job's end. A second one calls what
//! judges results: the end of a job may wait for that, and a callback may wait for the end of a job.
//!
//! | the thread | is entered | is left |
//! |---|---|---|
//! | not there | at first | the pool is built with a listener, or gets the first job that calls something there: runs |
//! | runs | | the pool has ended, and all is called: over |
//! | over | also where it never ran | never |
//!
//! Whoever puts a call there holds the pool's lock, which makes the order; this lock is the inner one, and nothing else is done
//! under it. The supervisor closes the queue when it ends: nothing can happen in the pool after that.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle as Thread, ThreadId};
use std::time::SystemTime;

use super::again::Judged;
use super::cell::Cell;
use super::done;
use super::events::{Event, EventKind};
use super::shared::Shared;
use super::stop_jobs::{StopOutcome, StopTakers};
use crate::link::sync::{AtomicU32, Ordering};
use crate::sys::{OwnThread, futex_wait_own, futex_wake_own};

/// What the two threads are called.
pub(super) const CALLBACKS: &str = "mpm-callbacks";
pub(super) const JUDGES: &str = "mpm-judges";

/// What listens to a pool's events.
pub(super) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something to be called.
#[derive(Debug)]
enum Call {
    Event(Box<Event>),
    /// This job has ended.
    Done(Arc<Cell>),
    /// An `on_stop` job has ended.
    Stopped(Box<StopOutcome>, SystemTime),
    /// A try at a job has returned something.
    Judged(Box<Judged>),
}

/// What a pool calls besides what its jobs bring along.
struct Outlets {
    listener: Option<Listener>,
    takers: StopTakers,
}

/// What is to be called, and by whom.
pub(super) struct Callbacks {
    pool: Arc<str>,
    listens: bool,
    wants_results: bool,
    stop_targets: Vec<&'static str>,
    /// Until the thread has them, which drops them when all is called: the user may wait for that.
    outlets: Mutex<Option<Outlets>>,
    queue: Mutex<Queue>,
    /// Changes whenever the thread is to wake; it sleeps on it.
    word: AtomicU32,
    over: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    calls: VecDeque<Call>,
    thread: Option<Thread<()>>,
    id: Option<ThreadId>,
    /// The thread has found nothing to call, and sleeps or is about to.
    is_asleep: bool,
    /// Nothing more comes.
    is_closed: bool,
    /// All has been called.
    is_over: bool,
}

impl Callbacks {
    pub(super) fn new(pool: &str, listener: Option<Listener>, takers: StopTakers) -> Arc<Self> {
        let stop_targets = takers.0.iter().map(|taker| taker.target).collect();
        let (listens, wants_results) = (listener.is_some(), takers.0.iter().any(|taker| taker.wants_result));
        let (outlets, queue) = (Mutex::new(Some(Outlets { listener, takers })), Mutex::default());
        let (word, over) = (AtomicU32::new(0), Condvar::new());
        Arc::new(Self { pool: pool.into(), listens, wants_results, stop_targets, outlets, queue, word, over })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody wants to know of events.
    pub(super) fn listens(&self) -> bool {
        self.listens
    }

    /// Whether there is something to call from the beginning.
    pub(super) fn is_wanted(&self) -> bool {
        self.listens || self.wants_results
    }

    /// The name of the target of `on_stop` job number `index`.
    pub(super) fn stop_target(&self, index: usize) -> &'static str {
        self.stop_targets.get(index).copied().unwrap_or_default()
    }

    /// Makes sure that the thread is there, if it is to come at all. The one that judges results does that for `pool`.
    pub(super) fn start(self: &Arc<Self>, name: &'static str, pool: Option<&Arc<Shared>>) -> io::Result<()> {
        let mut queue = self.lock();
        if queue.id.is_some() || queue.is_closed {
            return Ok(());
        }
        let (this, pool) = (Arc::clone(self), pool.map(Arc::clone));
        let thread = OwnThread::spawn(name, move |own| this.run(&own, pool.as_deref()))?;
        queue.id = Some(thread.thread().id());
        queue.thread = Some(thread);
        Ok(())
    }

    fn run(&self, thread: &OwnThread, pool: Option<&Shared>) {
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner).take();
        loop {
            let awake = thread.awake();
            // Read before the queue is looked at: who comes after that look changes it.
            let seen = self.word.load(Ordering::Acquire);
            let mut queue = self.lock();
            let (calls, is_closed) = (std::mem::take(&mut queue.calls), queue.is_closed);
            queue.is_asleep = calls.is_empty() && !is_closed;
            drop(queue);
            if !calls.is_empty() {
                drop(thread.lend(awake, || calls.into_iter().for_each(|call| self.make(outlets.as_ref(), pool, call))));
            } else if is_closed {
                let _awake = thread.lend(awake, || guarded(|| drop(outlets.take())));
                self.lock().is_over = true;
                self.over.notify_all();
                return;
            } else {
                drop(awake);
                futex_wait_own(self.word(), seen, None);
            }
        }
    }

    fn word(&self) -> *const u32 {
        std::ptr::from_ref(&self.word).cast()
    }

    fn make(&self, outlets: Option<&Outlets>, pool: Option<&Shared>, call: Call) {
        let tell = |event: &Event| {
            if let Some(listener) = outlets.and_then(|outlets| outlets.listener.as_ref()) {
                guarded(|| listener(event));
            }
        };
        match call {
            Call::Event(event) => tell(&event),
            Call::Judged(judged) => {
                if let Some(pool) = pool {
                    pool.judge(*judged);
                }
            }
            Call::Done(cell) => done::call(cell, |slot| format!("{}-{slot}", self.pool)),
            Call::Stopped(outcome, time) => {
                if let Some(kind) = outlets.map(|outlets| outlets.takers.take(*outcome)) {
                    tell(&Event { pool: Arc::clone(&self.pool), time, kind });
                }
            }
        }
    }

    fn push(&self, call: Call) {
        let mut queue = self.lock();
        queue.calls.push_back(call);
        self.wake(queue);
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let is_asleep = std::mem::take(&mut queue.is_asleep);
        drop(queue);
        if is_asleep {
            // Release pairs with the Acquire in `run`. The lock orders the rest.
            self.word.fetch_add(1, Ordering::Release);
            futex_wake_own(self.word());
        }
    }

    /// Tells of what has happened, if anybody listens.
    pub(super) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        if self.listens {
            self.push(Call::Event(Box::new(Event { pool: Arc::clone(&self.pool), time: SystemTime::now(), kind: kind() })));
        }
    }

    /// A job has ended that calls something.
    pub(super) fn done(&self, cell: &Arc<Cell>) {
        self.push(Call::Done(Arc::clone(cell)));
    }

    /// An `on_stop` job has ended.
    pub(super) fn stopped(&self, outcome: StopOutcome) {
        if self.is_wanted() {
            self.push(Call::Stopped(Box::new(outcome), SystemTime::now()));
        }
    }

    /// A result is to be judged.
    pub(super) fn judge(&self, judged: Judged) {
        self.push(Call::Judged(Box::new(judged)));
    }

    /// Whether this is called from there.
    pub(super) fn is_here(&self) -> bool {
        self.lock().id == Some(thread::current().id())
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.is_closed = true;
        queue.is_over |= queue.id.is_none();
        self.wake(queue);
    }

    /// Once the pool has ended: waits until all is called. Not from what is called: that is not over before it returns.
    pub(super) fn wait(&self) {
        let mut queue = self.lock();
        if queue.id == Some(thread::current().id()) {
            return;
        }
        if let Some(thread) = queue.thread.take() {
            drop(queue);
            drop(thread.join());
            return;
        }
        while !queue.is_over {
            queue = self.over.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Calls code of the user's. The panic hook has told of a panic; whoever calls goes on.
pub(super) fn guarded(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // Its drop may panic once more.
        std::mem::forget(payload);
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callbacks of {}", self.pool)
    }
}
