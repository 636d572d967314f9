//! One worker as the parent sees it: a slot in the pool, and the process that fills it now.
//!
//! | state of the process | entered | left |
//! |---|---|---|
//! | ordered | `Supervisor::start` | it is delivered: starting; or its order fails: a failed start |
//! | starting | it is there | its reply is read; or it dies, or its deadline passes: a failed start |
//! | ready | its reply says so; or the pool wants a finishing one after all | it is to finish, or told to stop; or it dies: its claimed job, if any, dies with it |
//! | finishing | its successor is ready; or its place is given up; or it can get no more jobs | it has answered what it had claimed, and is told to stop; or it dies |
//! | stopping | `stop`; or it has answered the last job that it may have | it exits; at the deadline it is killed |
//!
//! A process that may have so many jobs and no more gets a successor when it has been given the last one; one that is to be
//! replaced for another reason gets it then, and goes on until that is ready. The successor takes its place when all that it has
//! claimed is answered; the process itself leaves, and all that remains is to bury it.
//!
//! Whatever the state, a process has at most one [`Fate`]: why the pool itself ends it. One that has a fate gets no more jobs. It was
//! killed at once, unless it was told to end first, by SIGTERM: then it is killed as soon as it has answered its job, or when the time for
//! that is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Cell, Facts};
use super::course::Course;
use super::ended::Ended;
use super::overdue::{Cause, Overdue};
use super::policy::average;
use super::policy_watch::Seen;
use crate::error::EndReason;
use crate::link::{ParentEnd, Payload};
use crate::start::{Capture, ChildProcess, Origin};
use crate::sys::OomKills;

/// A job that waits in the queue, with its encoded arguments.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cell: Arc<Cell>,
    pub(super) target: u32,
    pub(super) payload: Payload,
}

/// A job that a member has; its arguments lie in the link.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) cell: Arc<Cell>,
    pub(super) target: u32,
}

/// One of the pool's places for a worker.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) slot: u32,
    pub(super) process: Option<Process>,
    /// The pool wants a process here.
    pub(super) is_open: bool,
    /// Take the process's place, one after the other, when that leaves it.
    pub(super) next: VecDeque<Process>,
    /// After a failed start: not again before this.
    pub(super) not_before: Option<Instant>,
    /// How many processes in a row were of no use here.
    pub(super) failures: u32,
}

#[derive(Debug)]
pub(super) enum State {
    /// The deadline is set when it is delivered.
    Starting {
        deadline: Option<Instant>,
    },
    Ready {
        since: Instant,
    },
    /// It gets no more jobs.
    Finishing {
        /// It was ready since then.
        since: Instant,
        reason: EndReason,
    },
    Stopping {
        deadline: Option<Instant>,
    },
}

/// Why the pool ends a process.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It wrote what no worker writes: nothing that it says is believed any more.
    Damaged(String),
    /// It was not ready in time, or can get no more jobs. What its link says is right all the same.
    Unready(String),
    /// It has broken a limit, or stood still. What its link says is right all the same.
    Unfit(EndReason, String),
    /// It had to end with the pool. The text says what becomes of a job that it ran.
    Ended(&'static str),
    /// Its job had to end. What its link says is right all the same.
    Overdue(Cause),
}

/// The process of a member.
#[derive(Debug)]
pub(super) struct Process {
    /// Unique among all processes of the pool.
    pub(super) incarnation: u64,
    pub(super) slot: u32,
    pub(super) worker: Arc<str>,
    pub(super) state: State,
    pub(super) link: ParentEnd,
    pub(super) capture: Capture,
    /// `None` until the starting thread has delivered it.
    pub(super) child: Option<ChildProcess>,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The jobs in the link, in the order of their numbers.
    pub(super) in_flight: VecDeque<InFlight>,
    /// How many more jobs these are than cells: those of chunks that have not ended, but for one of each.
    pub(super) more: usize,
    pub(super) jobs_done: u64,
    /// How many jobs it may have in all, if there is a limit.
    pub(super) quota: Option<u64>,
    pub(super) oom_kills_before: Option<OomKills>,
    pub(super) fate: Option<Fate>,
    /// It was sent SIGKILL, or will be as soon as it is there.
    pub(super) is_killed: bool,
    /// Why it is to end.
    pub(super) reason: Option<EndReason>,
    /// How many bytes it held when the pool last looked at it for that, without a job; 0 if it never did.
    pub(super) weight: u64,
    /// Why it is to be replaced, as soon as its successor is ready.
    pub(super) replace: Option<EndReason>,
    pub(super) course: Course,
    /// It has ended, and its template is asked how.
    pub(super) is_gone: bool,
    /// The preload job that it runs before it is ready.
    pub(super) preloading: Option<u32>,
    /// What the worker said when it refused to start.
    pub(super) refused: Option<String>,
    /// When it last got a job; a counter, not a time.
    pub(super) last_used: u64,
    /// When it was first seen without a job after the one that it had then got last.
    pub(super) idle_since: Option<(u64, Instant)>,
    /// What was seen of it when it was last looked at.
    pub(super) seen: Seen,
    /// It can answer, but no more than the jobs that it has claimed: it is to be told to stop.
    pub(super) spent: bool,
    /// The roster names it as idle.
    pub(super) is_listed: bool,
    /// Its link had no room for the next job, for a reason that is not the number of its jobs, and none of them has ended since.
    pub(super) is_link_full: bool,
    /// Where the supervisor looks whether it moves: how many jobs it had done at the last look, if it had one to do then.
    pub(super) seen_done: Option<u64>,
    /// It did not move between two looks. Until it answers it gets no more jobs.
    pub(super) is_stuck: bool,
    /// The job for which a thread looks for the responses by itself just now.
    pub(super) attended_for: Option<Arc<Cell>>,
    /// The requests before this number have jobs of whose end somebody wants to know at once; not all of them.
    pub(super) watched_until: u32,
    /// When its jobs' limits have to be looked at.
    pub(super) look_at: Option<Instant>,
    /// The job that it runs and that has to end.
    pub(super) overdue: Option<Box<Overdue>>,
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, ChildProcess::pid)
    }

    /// Whether it can be given a job.
    pub(super) fn takes_jobs(&self) -> bool {
        matches!(self.state, State::Ready { .. }) && self.fate.is_none()
    }

    /// Whether a process that is gone is to be replaced before it is known how it ended: no other reason than its end will be found.
    pub(super) fn is_missed(&self) -> bool {
        let had_a_job = self.jobs_done > 0 || self.link.in_flight() > self.link.unclaimed();
        self.is_gone && had_a_job && self.is_promising()
    }

    /// Kills it and all that it started. Its end is seen and dealt with like any other.
    pub(super) fn kill(&mut self, fate: Fate) {
        self.note_fate(fate);
        self.is_killed = true;
        match &self.child {
            Some(child) => child.kill_group(),
            None => self.origin.give_up(self.incarnation),
        }
    }

    fn note_fate(&mut self, fate: Fate) {
        self.reason.get_or_insert(match &fate {
            Fate::Damaged(_) => EndReason::Damaged,
            Fate::Unready(_) => EndReason::Unready,
            Fate::Unfit(reason, _) => *reason,
            Fate::Ended(_) | Fate::Overdue(Cause::PoolEnds) => EndReason::PoolEnded,
            Fate::Overdue(Cause::TimedOut(..)) => EndReason::TimedOut,
            Fate::Overdue(Cause::Aborted) => EndReason::Cancelled,
        });
        match self.fate {
            // What was to be believed until now is so no more.
            Some(Fate::Unready(_) | Fate::Unfit(..) | Fate::Overdue(_)) if matches!(fate, Fate::Damaged(_)) => {
                self.fate = Some(fate)
            }
            Some(_) => {}
            None => self.fate = Some(fate),
        }
    }

    /// Tells it, and all of its process group, to end: by SIGTERM. It may still answer its job.
    pub(super) fn terminate(&mut self, fate: Fate) {
        self.note_fate(fate);
        if let Some(child) = &self.child {
            child.terminate_group();
        }
    }

    /// How many more jobs it may be given.
    pub(super) fn may_take(&self) -> u64 {
        self.quota.map_or(u64::MAX, |quota| quota.saturating_sub(self.jobs_done + self.in_flight.len() as u64))
    }

    /// Whether it takes jobs or will soon.
    pub(super) fn is_promising(&self) -> bool {
        self.fate.is_none() && !matches!(self.state, State::Finishing { .. } | State::Stopping { .. })
    }

    /// Tells it to end when it has nothing to do; from `deadline` on it is overdue.
    pub(super) fn stop(&mut self, deadline: Option<Instant>, reason: EndReason) {
        self.reason.get_or_insert(reason);
        if !matches!(self.state, State::Stopping { .. }) {
            self.link.stop();
            self.state = State::Stopping { deadline };
        }
    }

    /// When it will be overdue, if it has to do something by a certain time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline } | State::Stopping { deadline } if !self.is_killed => deadline,
            _ => None,
        }
    }

    /// Takes in all responses. A process that breaks the protocol is killed.
    pub(super) fn drain(&mut self, ended: &mut Ended, mean: &mut Option<u64>) {
        let mut now = None;
        while !matches!(self.fate, Some(Fate::Damaged(_))) {
            if let Some(job) = self.in_flight.front()
                && job.cell.chunk.is_some()
            {
                let cell = Arc::clone(&job.cell);
                if self.drain_items(&cell, ended, mean) {
                    continue;
                }
                return;
            }
            match self.link.next_response() {
                Ok(None) => return,
                Err(violation) => return self.kill(Fate::Damaged(violation.to_string())),
                Ok(Some((frame, payload))) => {
                    // A segment that could not be taken over is lost to this link: the worker would name it again.
                    self.spent |= payload.is_err();
                    // The link answers only what is in flight, so there is a job.
                    let Some(job) = self.in_flight.pop_front() else { return };
                    *mean = Some(average(*mean, frame.ran));
                    self.jobs_done += 1;
                    let now = *now.get_or_insert_with(Instant::now);
                    let facts = self.facts(Some(Duration::from_nanos(frame.ran)), now);
                    let raw = self.open(&job.cell, job.cell.id(), frame.kind, frame.len, payload);
                    ended.end(job.cell, raw, facts);
                }
            }
        }
    }

    /// How a job has gone that had this process until `now`.
    pub(super) fn facts(&self, ran: Option<Duration>, now: Instant) -> Facts {
        Facts { worker: Some((self.slot, self.pid())), ran, ended: Some(now) }
    }

    /// Whether nothing that is known of it will make it leave: it is ready, and goes on without an end in sight. Then neither `Core::retire` nor
    /// `Core::wants_successor` has anything to do, which each job would feel.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        let is_ready = matches!(self.state, State::Ready { .. });
        is_ready && self.fate.is_none() && self.quota.is_none() && self.replace.is_none() && !self.spent && !self.is_gone
    }
}
