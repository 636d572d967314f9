//! The thread on which a pool calls its user's code: what listens to events, what takes the results of `on_stop` jobs, what is to be
//! called with a job's end. It starts when the pool is built with a listener, or gets the first job that calls something there.
//!
//! What judges results is called on a thread of its own: the end of a job may wait for that, and a callback may wait for the end of a
//! job.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::calls::{Calls, guarded};
use super::cell::Cell;
use super::done;
use super::events::{Event, EventKind};
use super::stop_jobs::{StopOutcome, StopTakers};

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
    calls: Arc<Calls<Call>>,
}

impl Callbacks {
    pub(super) fn new(pool: &str, listener: Option<Listener>, takers: StopTakers) -> Arc<Self> {
        let stop_targets = takers.0.iter().map(|taker| taker.target).collect();
        let (listens, wants_results) = (listener.is_some(), takers.0.iter().any(|taker| taker.wants_result));
        let (outlets, calls) = (Mutex::new(Some(Outlets { listener, takers })), Arc::default());
        Arc::new(Self { pool: pool.into(), listens, wants_results, stop_targets, outlets, calls })
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

    /// Makes sure that the thread is there, if it is to come at all.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let this = Arc::clone(self);
        self.calls.start("mpm-callbacks", move || {
            let outlets = this.outlets.lock().unwrap_or_else(PoisonError::into_inner).take();
            move |call| this.make(outlets.as_ref(), call)
        })
    }

    fn make(&self, outlets: Option<&Outlets>, call: Call) {
        let tell = |event: &Event| {
            if let Some(listener) = outlets.and_then(|outlets| outlets.listener.as_ref()) {
                guarded(|| listener(event));
            }
        };
        match call {
            Call::Event(event) => tell(&event),
            Call::Done(cell) => done::call(cell, |slot| format!("{}-{slot}", self.pool)),
            Call::Stopped(outcome, time) => {
                if let Some(kind) = outlets.map(|outlets| outlets.takers.take(*outcome)) {
                    tell(&Event { pool: Arc::clone(&self.pool), time, kind });
                }
            }
        }
    }

    /// Tells of what has happened, if anybody listens.
    pub(super) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        if self.listens {
            self.calls.push(Call::Event(Box::new(Event { pool: Arc::clone(&self.pool), time: SystemTime::now(), kind: kind() })));
        }
    }

    /// A job has ended that calls something.
    pub(super) fn done(&self, cell: &Arc<Cell>) {
        self.calls.push(Call::Done(Arc::clone(cell)));
    }

    /// An `on_stop` job has ended.
    pub(super) fn stopped(&self, outcome: StopOutcome) {
        if self.is_wanted() {
            self.calls.push(Call::Stopped(Box::new(outcome), SystemTime::now()));
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.calls.close();
    }

    /// Once the pool has ended: waits until all is called, as [`Calls::wait`].
    pub(super) fn wait(&self) {
        self.calls.wait();
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callbacks of {}", self.pool)
    }
}
