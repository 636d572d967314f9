//! Those who are told when a job has ended: the thread that sleeps on its cell, tasks, and lists of several jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::cell::Cell;
use crate::sys::{Original, futex_wake_own};

/// Those who are to be told of a job's end, which runs code of the user's: not under the pool's lock.
#[derive(Debug)]
pub(super) struct Tell {
    pub(super) cell: Arc<Cell>,
    pub(super) watchers: Vec<Watcher>,
}

impl Tell {
    pub(super) fn has_task(&self) -> bool {
        self.watchers.iter().any(Watcher::is_task)
    }

    pub(super) fn tell(self) {
        futex_wake_own(self.cell.word());
        self.watchers.into_iter().for_each(Watcher::tell);
    }
}

/// Somebody who is told when the job has ended.
#[derive(Debug)]
pub(super) enum Watcher {
    Task(Waker),
    List(Arc<Finished>, usize),
}

impl Watcher {
    pub(super) fn tell(self) {
        match self {
            // A waker is the user's code. The thread that calls it has other jobs to end; the panic hook has told of it.
            Self::Task(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
            Self::List(list, index) => list.add(index),
        }
    }

    /// Takes out the one whose place it takes. A task that moves between executors polls with a new waker: only its last one
    /// counts. Dropping the old one may run code of the user's.
    pub(super) fn replaces(&self, others: &mut Vec<Self>) -> Option<Self> {
        let old = match self {
            Self::Task(_) => others.iter().position(|other| matches!(other, Self::Task(_)))?,
            Self::List(..) => return None,
        };
        Some(others.swap_remove(old))
    }

    /// Whether it runs code of the user's.
    pub(super) fn is_task(&self) -> bool {
        matches!(self, Self::Task(_))
    }

    /// Whether it tells `list`.
    pub(super) fn is_for(&self, list: &Arc<Finished>) -> bool {
        matches!(self, Self::List(other, _) if Arc::ptr_eq(other, list))
    }
}

/// The indices of jobs that have ended, in the order in which they did.
#[derive(Debug)]
pub(super) struct Finished {
    indices: Mutex<Vec<usize>>,
    added: Condvar,
    original: Arc<Original>,
}

impl Default for Finished {
    fn default() -> Self {
        Self { indices: Mutex::default(), added: Condvar::new(), original: Original::this_process() }
    }
}

impl Finished {
    /// Whether this is a copy, made by `fork`, of that process: its lock may be held for ever, and nobody adds to it.
    pub(super) fn is_copy(&self) -> bool {
        self.original.is_elsewhere()
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
pub(super) fn remaining(until: Option<Instant>) -> Option<Option<Duration>> {
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
