//! The one thread that acts for a pool: starts members, takes in their responses, buries them, ends them.
//!
//! It sleeps in one epoll over the doorbell, the members' exits (pidfds) and, until they are ready, their sockets; it
//! wakes for nothing else but the next deadline. A turn takes in everything that has happened, then acts, then computes
//! when it must act again. The states through which it takes each process are in the table of `member.rs`, those of a pool that ends in
//! that of `ending.rs`.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blame::failed_start;
use super::core::Core;
use super::deadlines::{enforce_deadlines, next_deadline};
use super::ending;
use super::events::EventKind;
use super::first::FirstResult;
use super::member::{Fate, State};
use super::policy::FailedStart;
use super::shared::{News, Shared};
use crate::error::WorkerExit;
use crate::start::{self, Origin, Run, StartMethod, Together, flush_stderr, put_aside};
use crate::sys::{Keys, OwnThread, Poller};

/// A worker that dies within this time after it was ready, without a job, may be one of many that will.
const EARLY: Duration = Duration::from_secs(1);

/// Keys of the poller: the doorbell, then two for each incarnation.
const DOORBELL: u64 = 0;
pub(super) const fn exit_key(incarnation: u64) -> u64 {
    incarnation * 2
}
pub(super) const fn reply_key(incarnation: u64) -> u64 {
    incarnation * 2 + 1
}

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) poller: Poller,
    pub(super) origin: Origin,
    pub(super) method: StartMethod,
    /// Somebody has chosen the method: then it is that one or none.
    pub(super) chosen: bool,
    /// The life of the template that the last worker came from.
    pub(super) run: Option<Run>,
    /// A start has failed in this turn: further failures of the turn have the same cause.
    pub(super) failed_now: bool,
    /// Results of jobs that starting workers have run first.
    pub(super) first_results: Vec<FirstResult>,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>, origin: Origin, method: StartMethod, chosen: bool) -> io::Result<Self> {
        let poller = Poller::new()?;
        for fd in shared.doorbell.as_fds() {
            poller.watch(fd, DOORBELL)?;
        }
        Ok(Self { shared, poller, origin, method, chosen, run: None, failed_now: false, first_results: Vec::new() })
    }

    /// Runs until the pool has ended.
    pub(super) fn run(mut self, thread: &OwnThread) {
        let ran = catch_unwind(AssertUnwindSafe(|| self.turns(thread)));
        let awake = thread.awake();
        // A panic here is a bug of mpm's. Nobody shall wait for ever because of it.
        let reason: Option<Arc<str>> = match ran {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("its supervisor cannot wait for events: {error}").into()),
            Err(_) => Some("its supervisor panicked; this is a bug in mpm".into()),
        };
        if let Origin::Template(template) = std::mem::replace(&mut self.origin, Origin::Spawn) {
            put_aside(template);
        }
        let shared = Arc::clone(&self.shared);
        let ((), changes) = shared.change(|core| {
            if let Some(reason) = &reason {
                core.fail(reason);
                ending::abandon(core, reason);
            }
            core.ended = true;
            core.emit(|| EventKind::PoolEnded);
            core.callbacks.close();
            core.judges.close();
        });
        drop(self);
        // Handles may outlive the pool, and with them what they share.
        shared.shelf.clear();
        let awake = thread.lend(awake, || shared.tell(changes));
        drop(shared);
        drop(awake);
        flush_stderr(thread);
    }

    fn turns(&mut self, thread: &OwnThread) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut ready = Keys::none();
        loop {
            let mut awake = thread.awake();
            let ((ended, wake_at), changes) = shared.change(|core| self.turn(core, &ready));
            let (nothing_came, later) = shared.change(|core| ended || core.arm());
            for changes in [changes, later].into_iter().filter(|changes| !changes.is_nothing()) {
                awake = thread.lend(awake, || shared.tell(changes));
            }
            if !self.first_results.is_empty() {
                awake = thread.lend(awake, || self.read_first_results());
            }
            drop(awake);
            if ended {
                return Ok(());
            }
            // Where responses come without end, exits and new workers are looked at all the same.
            let time = if nothing_came && self.first_results.is_empty() {
                wake_at.map(|at| at.saturating_duration_since(Instant::now()))
            } else {
                Some(Duration::ZERO)
            };
            ready = self.poller.wait(time)?;
        }
    }

    fn turn(&mut self, core: &mut Core, ready: &Keys) -> (bool, Option<Instant>) {
        self.failed_now = false;
        let _together = Together::begin();
        if ready.iter().any(|key| key == DOORBELL) {
            self.shared.doorbell.clear();
        }
        core.drain();
        while let Some(news) = self.shared.next_news() {
            match news {
                News::Started(incarnation, started) => self.adopt(core, incarnation, started),
                News::Reaped(incarnation, exit) => {
                    if let Some(child) = core.find_mut(incarnation).and_then(|process| process.child.as_mut()) {
                        child.reaped(exit);
                        self.bury(core, incarnation);
                    }
                }
            }
        }
        let read: Vec<_> = self.first_results.iter().map(|first| first.incarnation).collect();
        read.into_iter().for_each(|incarnation| self.hear(core, incarnation));
        for key in ready.iter().filter(|key| *key != DOORBELL) {
            if key % 2 == 0 { self.bury(core, key / 2) } else { self.hear(core, key / 2) }
        }
        let now = Instant::now();
        enforce_deadlines(core, now, &self.shared);
        core.end_overdue_jobs(now, self.shared.settings.grace);
        core.expire(now);
        core.take_up_later(now);
        if let Some(ending) = core.ending {
            ending::proceed(core, ending, now, self.shared.settings.grace);
        }
        core.look_after_workers(now);
        core.fit(now);
        core.recycle(now);
        core.survey();
        core.look_for_stuck(now);
        core.dispatch();
        if core.grow(now) {
            core.survey();
            core.dispatch();
        }
        self.fill_slots(core, now);
        core.begin_to_look(now);
        core.plan_look(now);
        self.follow_ends(core);
        core.wake = false;
        core.set_alarm();
        let ended = core.ending.is_some() && core.all_processes().next().is_none() && core.waiting == 0 && core.judging == 0;
        core.wakes_at = next_deadline(core, now);
        (ended, core.wakes_at)
    }

    /// Deals with a process that has exited: its jobs, its report, its slot.
    fn bury(&mut self, core: &mut Core, incarnation: u64) {
        let Some(process) = core.find_mut(incarnation) else { return };
        // Also one that was told to stop before it was ready: what it has to say of its end comes after that.
        if !process.course.is_ready && process.refused.is_none() {
            self.hear(core, incarnation);
            if self.first_results.iter().any(|first| first.incarnation == incarnation) {
                // Its end stays ready to be seen.
                return;
            }
        }
        let Some(process) = core.find_mut(incarnation) else { return };
        let Some(child) = process.child.as_mut() else { return };
        let shared = Arc::clone(&self.shared);
        let exit = match child.reap(move |exit| shared.deliver(News::Reaped(incarnation, exit))) {
            start::Ending::Done(exit) => exit,
            start::Ending::Runs => return,
            start::Ending::Asked => {
                // Its template tells how it ended; until then there is nothing more to be seen of it.
                self.poller.forget(child);
                process.is_gone = true;
                return;
            }
        };
        let (mut ended, mut mean) = (std::mem::take(&mut core.jobs_ended), core.mean);
        let Some(process) = core.find_mut(incarnation) else { return };
        // What it sent before its death counts: a result that is there wins over the death.
        process.drain(&mut ended, &mut mean);
        let stderr = process.capture.finish();
        self.hear_last(process, exit, &stderr);
        let before = ended.count();
        let unstarted = process.dies(exit, &stderr, &mut ended);
        let killed_jobs = ended.count() > before;
        let useful = killed_jobs || process.jobs_done > 0;
        let expected = matches!(process.fate, Some(Fate::Ended(_) | Fate::Overdue(_)))
            || matches!(process.state, State::Finishing { .. } | State::Stopping { .. });
        let refused = process.refused.is_some() || exit.code() == Some(WorkerExit::TokenSpent.code());
        let kind = match process.state {
            State::Ready { since } => FailedStart::WasReady { early: since.elapsed() < EARLY },
            // What an on_start job wants may be there the next time.
            _ if refused && process.course.starting.is_none() => FailedStart::Lasting,
            // One that takes too long will do so again, as a preload job will.
            _ if process.runs_first_job() && matches!(process.fate, Some(Fate::Unready(_))) => FailedStart::Lasting,
            _ => FailedStart::Passing,
        };
        process.reason.get_or_insert(process.why_it_ended(exit));
        let error = failed_start(process, exit, stderr, &self.shared);
        process.tell_end(&self.shared.callbacks, Some(exit));
        if let Some(child) = &process.child {
            // A process that the user forked may hold the same description: closing it would not end its events.
            self.poller.forget(child);
        }
        (core.jobs_ended, core.mean) = (ended, mean);
        core.take_up_again();
        core.requeue(unstarted);
        let slot = self.vacate(core, incarnation);
        if let Some(member) = slot.filter(|_| useful).and_then(|slot| core.members.get_mut(slot)) {
            member.failures = 0;
        }
        if let Some(slot) = slot.filter(|_| !useful && !expected) {
            self.start_failed(core, slot, kind, &error);
        }
    }

    /// Lets go of a process and of its place in the poller. Its slot, unless it was leaving.
    pub(super) fn vacate(&self, core: &mut Core, incarnation: u64) -> Option<usize> {
        let (slot, process) = core.remove(incarnation)?;
        self.poller.forget(&process.link);
        drop(process);
        self.shared.shelf.forget_lost();
        core.tell_who_waits_for_ends();
        slot
    }
}
