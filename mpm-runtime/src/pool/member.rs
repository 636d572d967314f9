//! One worker as the parent sees it: a slot in the pool, and the process that fills it now.
//!
//! | state of the process | entered | left |
//! |---|---|---|
//! | starting | `Supervisor::start` | its reply is read; or it dies, or its deadline passes: a failed start |
//! | ready | its reply says so | it is told to stop; or it dies: its claimed job, if any, dies with it |
//! | stopping | `stop` | it exits; at the deadline it is killed |
//!
//! Whatever the state, a process has at most one [`Fate`]: why the pool itself has killed it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Cell, Facts, Raw};
use super::policy::average;
use crate::codec::Panic;
use crate::error::{Cancelled, DataError, Death, DidRun, HowItEnded, JobError, Panicked, Phase};
use crate::link::{Frame, Kind, ParentEnd, TakenBack};
use crate::start::Capture;
use crate::sys::{Child, Exit, OomKills, monotonic_nanos, signal_name};

/// A job that waits in the queue, with its encoded arguments.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cell: Arc<Cell>,
    pub(super) target: u32,
    pub(super) payload: Vec<u8>,
}

/// A job that a member has; its arguments lie in the link.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) cell: Arc<Cell>,
    pub(super) target: u32,
}

/// An outcome on its way to its cell, which is finished outside of the pool's lock.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) cell: Arc<Cell>,
    pub(super) raw: Raw,
    pub(super) facts: Facts,
}

/// One of the pool's places for a worker.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) slot: u32,
    pub(super) process: Option<Process>,
    /// After a failed start: not again before this.
    pub(super) not_before: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum State {
    Starting { deadline: Option<Instant> },
    Ready { since: Instant },
    Stopping { deadline: Option<Instant> },
}

/// Why the pool has killed a process.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It wrote what no worker writes: nothing that it says is believed any more.
    Damaged(String),
    /// It was not ready in time, or can get no more jobs. What its link says is right all the same.
    Unready(String),
    /// It had to end with the pool. The text says what becomes of a job that it ran.
    Ended(&'static str),
}

/// The process of a member.
#[derive(Debug)]
pub(super) struct Process {
    /// Unique among all processes of the pool.
    pub(super) incarnation: u64,
    pub(super) worker: Arc<str>,
    pub(super) state: State,
    pub(super) link: ParentEnd,
    pub(super) capture: Capture,
    /// `None` until the starting thread has delivered it.
    pub(super) child: Option<Child>,
    /// The jobs in the link, in the order of their numbers.
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) jobs_done: u64,
    pub(super) oom_kills_before: Option<OomKills>,
    pub(super) fate: Option<Fate>,
    /// What the worker said when it refused to start.
    pub(super) refused: Option<String>,
    /// When it last got a job; a counter, not a time.
    pub(super) last_used: u64,
    /// It can answer, but no more than the jobs that it has claimed: it is to be told to stop.
    pub(super) spent: bool,
    /// Threads that look for its responses by themselves just now: no doorbell is needed.
    pub(super) lookers: u32,
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::pid)
    }

    /// Whether it can be given a job.
    pub(super) fn takes_jobs(&self) -> bool {
        matches!(self.state, State::Ready { .. }) && self.fate.is_none()
    }

    /// Kills it and all that it started. Its end is seen and dealt with like any other.
    pub(super) fn kill(&mut self, fate: Fate) {
        self.fate.get_or_insert(fate);
        if let Some(child) = &self.child {
            child.kill_group();
        }
    }

    /// Whether it takes jobs or will soon.
    pub(super) fn is_promising(&self) -> bool {
        self.fate.is_none() && !matches!(self.state, State::Stopping { .. })
    }

    /// Tells it to end when it has nothing to do; from `deadline` on it is overdue.
    pub(super) fn stop(&mut self, deadline: Option<Instant>) {
        if !matches!(self.state, State::Stopping { .. }) {
            self.link.stop();
            self.state = State::Stopping { deadline };
        }
    }

    /// When it will be overdue, if it has to do something by a certain time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline } | State::Stopping { deadline } if self.fate.is_none() => deadline,
            _ => None,
        }
    }

    /// Asks for the doorbell, unless somebody looks anyway; the last looker asks when it leaves.
    pub(super) fn arm(&self) {
        if self.lookers == 0 {
            self.link.arm();
        }
    }

    /// Takes in all responses. A process that breaks the protocol is killed.
    pub(super) fn drain(&mut self, outcomes: &mut Vec<Outcome>, mean: &mut Option<u64>) {
        while !matches!(self.fate, Some(Fate::Damaged(_))) {
            match self.link.next_response() {
                Ok(None) => return,
                Err(violation) => self.kill(Fate::Damaged(violation.to_string())),
                Ok(Some((frame, payload))) => {
                    // A segment that could not be taken over is lost to this link: the worker would name it again.
                    self.spent |= payload.is_err();
                    // The link answers only what is in flight, so there is a job.
                    let Some(job) = self.in_flight.pop_front() else { return };
                    *mean = Some(average(*mean, frame.ran));
                    self.jobs_done += 1;
                    let facts = self.facts(Some(Duration::from_nanos(frame.ran)));
                    let raw = self.open(&job, &frame, payload);
                    outcomes.push(Outcome { cell: job.cell, raw, facts });
                }
            }
        }
    }

    fn facts(&self, ran: Option<Duration>) -> Facts {
        Facts { worker: Some(Arc::clone(&self.worker)), pid: Some(self.pid()), attempt: 1, ran, total: None }
    }

    fn open(&self, job: &InFlight, frame: &Frame, payload: io::Result<Vec<u8>>) -> Raw {
        let data = |reason: String| Box::new(DataError { job: job.cell.id, target: job.cell.target, reason, in_worker: true });
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                let reason = format!("its answer of {} bytes cannot be taken over, and is lost: {error}", frame.len);
                return Raw::Failed(JobError::Decode(Box::new(DataError { in_worker: false, ..*data(reason) })));
            }
        };
        let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
        Raw::Failed(match frame.kind {
            Kind::Value => return Raw::Value(payload),
            Kind::BadArguments => JobError::Decode(data(text(&payload))),
            Kind::BadResult => JobError::Encode(data(text(&payload))),
            Kind::Panicked => {
                let unread = |e| Panic::new(format!("(the worker's report of the panic cannot be read: {e})"));
                let panic = postcard::from_bytes(&payload).unwrap_or_else(unread);
                JobError::Panicked(Box::new(Panicked {
                    message: panic.message,
                    location: panic.location,
                    backtrace: panic.backtrace,
                    worker: self.worker.to_string(),
                    pid: self.pid(),
                    target: job.cell.target,
                    job: job.cell.id,
                    attempt: 1,
                }))
            }
        })
    }

    /// After its death, with its responses drained: the outcomes of the jobs that die with it. What remains in
    /// `in_flight`, with the payloads returned, was never started.
    pub(super) fn dies(&mut self, exit: Exit, stderr: &[String], outcomes: &mut Vec<Outcome>) -> Vec<TakenBack> {
        let damaged = matches!(self.fate, Some(Fate::Damaged(_)));
        let checked = if damaged { None } else { self.unstarted() };
        let (running, payloads) = checked.unwrap_or((self.in_flight.len(), Vec::new()));
        // Asked of a worker without a job as well: its end may explain a kill.
        let out_of_memory = self.out_of_memory(exit);
        for _ in 0..running {
            let Some(job) = self.in_flight.pop_front() else { break };
            let outcome = self.outcome_of_death(&job, exit, out_of_memory, stderr);
            outcomes.push(outcome);
        }
        payloads
    }

    /// How many jobs had been claimed (0 or 1), and the payloads of the rest; `None` if the link is damaged.
    fn unstarted(&mut self) -> Option<(usize, Vec<TakenBack>)> {
        let taken = self.link.was_running().and_then(|running| Ok((running, self.link.take_back(u32::from(running))?)));
        match taken {
            Ok((running, payloads)) => Some((usize::from(running), payloads)),
            Err(violation) => {
                self.fate = Some(Fate::Damaged(violation.to_string()));
                None
            }
        }
    }

    fn outcome_of_death(&self, job: &InFlight, exit: Exit, out_of_memory: Option<bool>, stderr: &[String]) -> Outcome {
        let cell = &job.cell;
        let facts = self.facts(None);
        if let Some(Fate::Ended(reason)) = self.fate {
            let error = JobError::Cancelled(Cancelled { job: cell.id, target: cell.target, reason });
            return Outcome { cell: Arc::clone(cell), raw: Raw::Failed(error), facts };
        }
        let (phase, started) = self.link.last_words();
        let ended_by_pool = match &self.fate {
            Some(Fate::Damaged(what)) => Some(format!("its link was damaged: {what}")),
            // Unless it was dying already when the pool came.
            Some(Fate::Unready(what)) if exit.signal == Some(9) && out_of_memory != Some(true) => Some(format!("it {what}")),
            _ => None,
        };
        // What a damaged worker wrote down is not believed: the job may have run.
        let is_damaged = matches!(self.fate, Some(Fate::Damaged(_)));
        let phase = if is_damaged { Phase::Running } else { Phase::from_u32(phase) };
        let elapsed = Duration::from_nanos(monotonic_nanos().saturating_sub(started)).min(cell.submitted.elapsed());
        let death = Death {
            worker: self.worker.to_string(),
            pid: self.pid(),
            how: how(exit),
            out_of_memory,
            phase,
            did_run: if is_damaged { DidRun::Maybe } else { phase.did_run() },
            target: cell.target,
            job: cell.id,
            attempt: 1,
            elapsed,
            max_rss: exit.max_rss,
            stderr: stderr.to_vec(),
            ended_by_pool,
        };
        let facts = Facts { ran: Some(elapsed), ..facts };
        Outcome { cell: Arc::clone(cell), raw: Raw::Failed(JobError::Died(Box::new(death))), facts }
    }

    /// Whether the kernel's out-of-memory killer was it: a SIGKILL that the pool did not send, while the kernel counted
    /// one more such kill, and no other worker was its victim. To be asked once.
    fn out_of_memory(&self, exit: Exit) -> Option<bool> {
        // An unready one may have been dying already.
        if exit.signal != Some(9) || matches!(self.fate, Some(Fate::Damaged(_) | Fate::Ended(_))) {
            return Some(false);
        }
        self.oom_kills_before?.explain()
    }
}

/// An exit in the words of a report.
pub(super) fn how(exit: Exit) -> HowItEnded {
    match (exit.signal, exit.code) {
        (Some(number), _) => HowItEnded::Signal { number, name: signal_name(number), core_dumped: exit.core_dumped },
        (None, Some(code)) => HowItEnded::Exited(code),
        (None, None) => HowItEnded::Unknown,
    }
}
