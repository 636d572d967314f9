//! The place where one job's outcome comes to rest, and where those who wait for it are told.
//!
//! | state | left by |
//! |---|---|
//! | open | `finish`, once: the first caller wins |
//! | finished | `take`, once: the outcome goes to the handle |
//! | taken | never |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::error::JobError;
use crate::link::sync::{AtomicU32, Ordering};

/// An outcome before it is decoded.
#[derive(Debug)]
pub(super) enum Raw {
    /// The encoded result.
    Value(Vec<u8>),
    Failed(JobError),
}

/// Where a job is; read and written under the pool's lock, in which it stands for an order.
pub(super) const IN_QUEUE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) id: u64,
    pub(super) target: &'static str,
    pub(super) submitted: Instant,
    /// `IN_QUEUE` or the slot of a member. Relaxed: the pool's lock orders it.
    place: AtomicU32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    finished: bool,
    outcome: Option<Raw>,
    facts: Facts,
    watchers: Vec<Watcher>,
    /// How many threads wait for the end.
    waiting: u32,
}

/// What is known about how a job went.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) worker: Option<Arc<str>>,
    pub(super) pid: Option<u32>,
    pub(super) attempt: u32,
    /// How long it ran, as far as it did.
    pub(super) ran: Option<Duration>,
    /// From submission to the end, once it has ended.
    pub(super) total: Option<Duration>,
}

/// Somebody who is told when the job has ended.
#[derive(Debug)]
pub(super) enum Watcher {
    Task(Waker),
    List(Arc<Finished>, usize),
}

impl Watcher {
    fn tell(self) {
        match self {
            // A waker is the user's code. The thread that calls it has other jobs to end; the panic hook has told of it.
            Self::Task(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
            Self::List(list, index) => list.add(index),
        }
    }
}

/// The indices of jobs that have ended, in the order in which they did.
#[derive(Debug)]
pub(super) struct Finished {
    indices: Mutex<Vec<usize>>,
    added: Condvar,
    /// The process that made it.
    pid: u32,
}

impl Default for Finished {
    fn default() -> Self {
        Self { indices: Mutex::default(), added: Condvar::new(), pid: std::process::id() }
    }
}

impl Finished {
    /// Whether this is a copy, made by `fork`, of that process: its lock may be held for ever, and nobody adds to it.
    pub(super) fn is_copy(&self) -> bool {
        std::process::id() != self.pid
    }

    fn add(&self, index: usize) {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        self.added.notify_all();
    }

    /// Waits until there are indices, and takes them, oldest first. Empty only when the time is over.
    pub(super) fn wait(&self, until: Option<Instant>) -> Vec<usize> {
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        while indices.is_empty() {
            let Some(left) = remaining(until) else { break };
            indices = wait_on(&self.added, indices, left);
        }
        std::mem::take(&mut *indices)
    }
}

/// The time left until `until`: `Some(None)` for ever, `None` when it is over.
#[expect(clippy::option_option, reason = "no limit, some time left and no time left are three answers")]
fn remaining(until: Option<Instant>) -> Option<Option<Duration>> {
    match until {
        None => Some(None),
        Some(until) => until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).map(Some),
    }
}

fn wait_on<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, time: Option<Duration>) -> MutexGuard<'a, T> {
    match time {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(time) => condvar.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}

impl Cell {
    pub(super) fn new(id: u64, target: &'static str) -> Self {
        let state = Mutex::new(State { facts: Facts { attempt: 1, ..Facts::default() }, ..State::default() });
        Self { id, target, submitted: Instant::now(), place: AtomicU32::new(IN_QUEUE), state, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the job. The one function that does; the first caller wins and later ones change nothing.
    pub(super) fn finish(&self, outcome: Raw, facts: Facts) {
        let mut state = self.lock();
        if state.finished {
            return;
        }
        state.finished = true;
        state.outcome = Some(outcome);
        state.facts = Facts { total: Some(self.submitted.elapsed()), ..facts };
        let (watchers, is_awaited) = (std::mem::take(&mut state.watchers), state.waiting > 0);
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
        watchers.into_iter().for_each(Watcher::tell);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Takes the outcome. `None`: not finished yet. `Some(Err)`: somebody took it before.
    pub(super) fn take(&self) -> Option<Result<Raw, JobError>> {
        let mut state = self.lock();
        state.finished.then(|| state.outcome.take().ok_or(JobError::Taken))
    }

    /// As `take`, waiting for the end until the given moment, or for ever.
    pub(super) fn wait(&self, until: Option<Instant>) -> Option<Result<Raw, JobError>> {
        let mut state = self.lock();
        while !state.finished {
            let left = remaining(until)?;
            state.waiting += 1;
            state = wait_on(&self.changed, state, left);
            state.waiting -= 1;
        }
        Some(state.outcome.take().ok_or(JobError::Taken))
    }

    /// Has `watcher` told at the end, or at once if that has come.
    pub(super) fn watch(&self, watcher: Watcher) {
        let mut state = self.lock();
        if state.finished {
            drop(state);
            watcher.tell();
            return;
        }
        // A task that moves between executors polls with a new waker: only its last one counts. The old one is dropped
        // after the lock: that may run code of the user's.
        let old = match &watcher {
            Watcher::Task(_) => state.watchers.iter().position(|w| matches!(w, Watcher::Task(_))),
            Watcher::List(..) => None,
        };
        let old = old.map(|index| state.watchers.swap_remove(index));
        state.watchers.push(watcher);
        drop(state);
        drop(old);
    }

    /// Forgets what was to be told to `list`.
    pub(super) fn unwatch(&self, list: &Arc<Finished>) {
        self.lock().watchers.retain(|w| !matches!(w, Watcher::List(other, _) if Arc::ptr_eq(other, list)));
    }

    pub(super) fn facts(&self) -> Facts {
        self.lock().facts.clone()
    }

    /// Notes who has the job now, if anybody.
    pub(super) fn handed_to(&self, worker: Option<(&Arc<str>, u32)>) {
        let mut state = self.lock();
        state.facts.worker = worker.map(|(name, _)| Arc::clone(name));
        state.facts.pid = worker.map(|(_, pid)| pid);
    }

    pub(super) fn place(&self) -> u32 {
        self.place.load(Ordering::Relaxed)
    }

    pub(super) fn set_place(&self, place: u32) {
        self.place.store(place, Ordering::Relaxed);
    }
}
