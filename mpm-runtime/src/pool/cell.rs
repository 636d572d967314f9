//! The place where one job's outcome comes to rest, and where those who wait for it are told.
//!
//! | state | left by |
//! |---|---|
//! | open | `finish`, once: the first caller wins |
//! | finished | `take`, once: the outcome goes to the handle |
//! | taken | `renew`: it is the cell of a new job, when nobody knows the old one any more |
//!
//! Where something is to be called with the outcome as well, it stays until both have it; the first of them gets a copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chunk::Chunk;
pub(super) use super::place::Place;
use super::rules::{Retrying, Rules};
use super::watcher::{Tell, Watcher};
use crate::error::JobError;
use crate::link::Received;
use crate::link::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::registry::OnDone;
use crate::sys::{futex_wait_own, futex_wake_own};

/// An outcome before it is decoded.
#[derive(Debug)]
pub(super) enum Raw {
    /// The encoded result.
    Value(Received),
    Failed(JobError),
}

/// Values of `Cell::word`.
const OPEN: u32 = 0;
/// A thread sleeps on the word, or is about to.
pub(super) const AWAITED: u32 = 1;
const FINISHED: u32 = 2;
/// The thread that slept on the word, or was about to, shall look where its job is now.
const NUDGED: u32 = 3;

#[derive(Debug)]
pub(super) struct Cell {
    /// Relaxed, as `place` and `is_watched`: the pool's lock orders them.
    id: AtomicU64,
    pub(super) target: &'static str,
    pub(super) submitted: Instant,
    place: AtomicU64,
    /// Somebody wants to know of the end when it comes, and not only when he asks.
    is_watched: AtomicBool,
    word: AtomicU32,
    state: Mutex<State>,
    /// It is that of several jobs, whose outcomes lie here: then the word says whether there are some to be taken.
    pub(super) chunk: Option<Box<Chunk>>,
    /// What holds for the job, if anything does.
    pub(super) rules: Option<Box<Rules>>,
}

#[derive(Debug, Default)]
struct State {
    finished: bool,
    outcome: Option<Raw>,
    facts: Facts,
    watchers: Vec<Watcher>,
    /// The job's callbacks have still to get the outcome.
    owes_callbacks: bool,
    /// The handle has it, while the callbacks do not.
    is_given: bool,
}

impl State {
    /// The outcome for the one of two who wants it first, or for the other.
    fn give(&mut self, is_last: bool, cell: &Cell) -> Option<Raw> {
        if is_last { self.outcome.take() } else { self.outcome.as_ref().map(|outcome| outcome.copy(cell)) }
    }
}

/// What is known about how a job went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The slot and the process of the worker that had it.
    pub(super) worker: Option<(u32, u32)>,
    /// How long it ran, as far as it did.
    pub(super) ran: Option<Duration>,
    /// When it ended, once it has.
    pub(super) ended: Option<Instant>,
}

impl Cell {
    pub(super) fn new(target: &'static str, rules: Option<Box<Rules>>) -> Self {
        Self {
            id: AtomicU64::new(0),
            target,
            submitted: Instant::now(),
            place: AtomicU64::new(Place::Queue.pack()),
            is_watched: AtomicBool::new(false),
            word: AtomicU32::new(OPEN),
            state: Mutex::default(),
            chunk: None,
            rules,
        }
    }

    /// Makes the cell of a job that is [over](Self::let_go) that of a new one: as `new`, in fewer steps.
    pub(super) fn renew(&mut self, target: &'static str, rules: Option<Box<Rules>>) {
        let Self { id, target: its, submitted, place, is_watched, word, state, chunk, rules: before } = self;
        let State { finished, outcome, facts, watchers, owes_callbacks, is_given } =
            state.get_mut().unwrap_or_else(PoisonError::into_inner);
        (*its, *submitted) = (target, Instant::now());
        // Nobody else has them: any order will do.
        id.store(0, Ordering::Relaxed);
        place.store(Place::Queue.pack(), Ordering::Relaxed);
        is_watched.store(false, Ordering::Relaxed);
        word.store(OPEN, Ordering::Relaxed);
        (*finished, *facts, *owes_callbacks, *is_given) = (false, Facts::default(), false, false);
        // These are empty, and so are let be.
        debug_assert!(outcome.is_none() && watchers.is_empty() && chunk.is_none() && before.is_none());
        if rules.is_some() {
            *before = rules;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn word(&self) -> *const u32 {
        std::ptr::from_ref(&self.word).cast()
    }

    /// Ends the job. The one function that does; the first caller wins and later ones change nothing. Returns whom to tell.
    pub(super) fn finish(self: Arc<Self>, outcome: Raw, facts: Facts) -> Option<Tell> {
        if let Some(chunk) = &self.chunk {
            return chunk.end_all(&self, outcome);
        }
        let mut state = self.lock();
        if state.finished {
            return None;
        }
        state.finished = true;
        state.outcome = Some(outcome);
        state.facts = facts;
        state.owes_callbacks = self.on_done().is_some();
        let watchers = std::mem::take(&mut state.watchers);
        drop(state);
        // Release pairs with the Acquire in `is_finished`; Acquire orders the look at who waits.
        let was_awaited = self.word.swap(FINISHED, Ordering::AcqRel) == AWAITED;
        (was_awaited || !watchers.is_empty()).then_some(Tell { cell: self, watchers })
    }

    /// There are outcomes to be taken, of a cell of several jobs. Whom to tell.
    pub(super) fn announce(self: &Arc<Self>) -> Option<Tell> {
        let was_awaited = self.word.swap(FINISHED, Ordering::AcqRel) == AWAITED;
        was_awaited.then(|| Tell { cell: Arc::clone(self), watchers: Vec::new() })
    }

    /// All outcomes that were there are taken, of such a cell, and more will come.
    pub(super) fn reopen(&self) {
        self.word.store(OPEN, Ordering::Relaxed);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.word.load(Ordering::Acquire) == FINISHED
    }

    /// Takes the outcome. `None`: not finished yet. `Some(Err)`: somebody took it before.
    pub(super) fn take(&self) -> Option<Result<Raw, JobError>> {
        self.is_finished().then(|| {
            let mut state = self.lock();
            if !state.owes_callbacks {
                return state.outcome.take().ok_or(JobError::Taken);
            }
            if std::mem::replace(&mut state.is_given, true) {
                return Err(JobError::Taken);
            }
            state.give(false, self).ok_or(JobError::Taken)
        })
    }

    /// Takes the outcome for the callbacks, once; `is_alone` says that nobody has a handle of the job any more.
    pub(super) fn take_for_callbacks(&self, is_alone: bool) -> Option<Raw> {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.owes_callbacks, false) {
            return None;
        }
        let is_last = state.is_given || is_alone;
        state.give(is_last, self)
    }

    /// What is to be called with the outcome.
    pub(super) fn on_done(&self) -> Option<&OnDone> {
        self.rules.as_ref()?.on_done.as_ref()
    }

    /// Before a sleep on the word: false if the job has ended.
    pub(super) fn await_end(&self) -> bool {
        match self.word.compare_exchange(OPEN, AWAITED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(NUDGED) => {
                self.stop_awaiting();
                false
            }
            Err(now) => now == AWAITED,
        }
    }

    /// The thread that slept on the word is awake: it need not be woken.
    pub(super) fn stop_awaiting(&self) {
        let is_open = |word| (word == AWAITED || word == NUDGED).then_some(OPEN);
        let _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_open);
    }

    /// Has the thread that attends the link of this job look where the job is now, which was taken back, or whose number has changed.
    pub(super) fn nudge(&self) {
        let is_open = |word| (word == AWAITED || word == OPEN).then_some(NUDGED);
        if self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_open) == Ok(AWAITED) {
            futex_wake_own(self.word());
        }
    }

    /// What a thread sleeps on while it reads `AWAITED`.
    pub(super) fn end_word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Nobody but the caller knows the job any more. What held for it goes with it: arguments that were kept, code of the user's.
    /// Whether it has ended and its outcome was taken, so that the cell can be that of another one.
    pub(super) fn let_go(&mut self) -> bool {
        if self.rules.is_some() {
            self.rules = None;
        }
        self.state.get_mut().is_ok_and(|state| state.finished && state.outcome.is_none() && self.chunk.is_none())
    }

    /// Sleeps until the job has ended, or for `time`; whether it has.
    pub(super) fn sleep(&self, time: Option<Duration>) -> bool {
        if self.await_end() {
            futex_wait_own(self.word(), AWAITED, time);
        }
        self.is_finished()
    }

    /// Has `watcher` told at the end. A list is told at once if that has come; a task is not: who polls for it looks once more.
    pub(super) fn watch(&self, watcher: Watcher) {
        let mut state = self.lock();
        if state.finished {
            drop(state);
            if !watcher.is_task() {
                watcher.tell();
            }
            return;
        }
        let old = watcher.replaces(&mut state.watchers);
        state.watchers.push(watcher);
        drop(state);
        drop(old);
    }

    /// Forgets those of its watchers that `is_it` knows.
    pub(super) fn unwatch(&self, is_it: impl Fn(&Watcher) -> bool) {
        self.lock().watchers.retain(|watcher| !is_it(watcher));
    }

    pub(super) fn facts(&self) -> Facts {
        self.lock().facts
    }

    pub(super) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    pub(super) fn set_id(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    pub(super) fn place(&self) -> Place {
        Place::unpack(self.place.load(Ordering::Relaxed))
    }

    pub(super) fn set_place(&self, place: Place) {
        self.place.store(place.pack(), Ordering::Relaxed);
    }

    /// Which try at the job is on, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.rules.as_ref().map_or(1, |rules| rules.attempt())
    }

    /// How it may be tried again, if it may.
    pub(super) fn retrying(&self) -> Option<&Retrying> {
        self.rules.as_ref()?.retry.as_deref()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    pub(super) fn set_watched(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }
}
