//! Running jobs that have to end: they have met a limit, or somebody wants it. The end comes in steps:
//!
//! | step | entered | the job may |
//! |---|---|---|
//! | asked | it met a limit, or `JobHandle::abort` | see that, and return or end itself: its worker goes on |
//! | terminated | half the grace later: SIGTERM to the worker's process group | be cleaned up after by a handler |
//! | killed | at the end of the grace: SIGKILL to the group | nothing |
//!
//! Before each signal the responses that are there are taken in, and everything that the worker has not claimed is taken back. So a job
//! that has ended meanwhile has its value, and the signal then hits a worker without a job: never the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Cell, Facts};
use super::core::Core;
use super::ended::Ended;
use super::member::{Fate, Process, Waiting};
use super::policy_time::{Limits, Seen, Verdict, next_step, verdict};
use crate::error::{Cancelled, DidRun, HowItEnded, JobError, Phase, TimeLimit, TimedOut};
use crate::registry::Ask;
use crate::sys::{cpu_nanos, monotonic_nanos};

/// Why a running job has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    TimedOut(TimeLimit, Duration),
    Aborted,
    PoolEnds,
}

impl Cause {
    fn ask(self) -> Ask {
        match self {
            Self::TimedOut(..) => Ask::TimedOut,
            Self::Aborted => Ask::Cancelled,
            Self::PoolEnds => Ask::PoolEnds,
        }
    }
}

/// How far the end of a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Asked,
    Terminated,
    Killed,
}

/// A running job that has to end.
#[derive(Debug)]
pub(super) struct Overdue {
    cell: Arc<Cell>,
    pub(super) cause: Cause,
    step: Step,
    /// When the next step is due.
    next: Option<Instant>,
}

impl Process {
    /// The job that it runs now is the one of `cell`.
    fn runs(&self, cell: &Arc<Cell>) -> bool {
        let is_first = self.in_flight.front().is_some_and(|job| Arc::ptr_eq(&job.cell, cell));
        is_first && self.link.was_running().unwrap_or(false)
    }

    /// Asks the job that it runs to end.
    fn ask(&mut self, cause: Cause, now: Instant, grace: Duration) {
        let Some(job) = self.in_flight.front() else { return };
        let cell = Arc::clone(&job.cell);
        self.link.notify(self.link.oldest(), cause.ask() as u32);
        let next = now.checked_add(next_step(Step::Asked, grace).map_or(Duration::ZERO, |(_, after)| after));
        self.overdue = Some(Box::new(Overdue { cell, cause, step: Step::Asked, next }));
        self.look_at = next;
    }

    /// Asks the job that it runs to end because the pool does; what else follows, the pool does.
    pub(super) fn ask_because_the_pool_ends(&mut self) {
        if self.overdue.is_none() && self.in_flight.front().is_some_and(|job| job.cell.chunk.is_none()) {
            self.link.notify(self.link.oldest(), Cause::PoolEnds.ask() as u32);
        }
    }

    /// Whether it is time to look at its jobs' limits.
    pub(super) fn is_to_be_looked_at(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now) && self.child.is_some() && !self.is_gone
    }

    /// Looks whether a job has met a limit, and takes the next step where one is being ended. Returns what it takes back.
    pub(super) fn look_at_limits(
        &mut self,
        now: Instant,
        grace: Duration,
        ended: &mut Ended,
        mean: &mut Option<u64>,
    ) -> Vec<Waiting> {
        self.look_at = None;
        let mut back = Vec::new();
        self.drain(ended, mean);
        if let Some(overdue) = self.overdue.take() {
            if !self.runs(&overdue.cell) {
                // It has ended, and its worker goes on.
                if self.fate.is_some() {
                    // It was to be ended because of that job, and is of no use any more.
                    self.kill(Fate::Overdue(overdue.cause));
                    return back;
                }
            } else if overdue.next.is_none_or(|next| next > now) {
                self.look_at = overdue.next;
                self.overdue = Some(overdue);
                return back;
            } else {
                back = self.take_back(1);
                self.proceed(overdue, now, grace);
                return back;
            }
        }
        if let Some((cause, at)) = self.next_limit(now) {
            match cause {
                Some(cause) => self.ask(cause, now, grace),
                None => self.look_at = Some(at),
            }
        }
        back
    }

    /// Takes the next step of the end of the job that it runs.
    fn proceed(&mut self, mut overdue: Box<Overdue>, now: Instant, grace: Duration) {
        let Some((step, _)) = next_step(overdue.step, grace) else { return };
        overdue.step = step;
        overdue.next = next_step(step, grace).and_then(|(_, after)| now.checked_add(after));
        self.look_at = overdue.next;
        match step {
            Step::Killed => self.kill(Fate::Overdue(overdue.cause)),
            _ => self.terminate(Fate::Overdue(overdue.cause)),
        }
        self.overdue = Some(overdue);
    }

    /// When its jobs have to be looked at again, or why the one that runs has to end now. `None` if none of them has a limit.
    fn next_limit(&self, now: Instant) -> Option<(Option<Cause>, Instant)> {
        let number = self.link.oldest();
        let limits = |cell: &Cell| cell.rules.as_ref().map(|rules| Limits { time: rules.timeout, cpu: rules.cpu_time });
        let behind = self.in_flight.iter().skip(1).filter_map(|job| job.cell.rules.as_ref()?.soonest()).min();
        let behind = behind.and_then(|soonest| now.checked_add(soonest));
        let front = self.in_flight.front().and_then(|job| limits(&job.cell)).filter(Limits::any).map(|limits| {
            let marks = if self.link.was_running().unwrap_or(false) { self.link.marks(number) } else { None };
            let seen = marks.map(|marks| {
                let clock = monotonic_nanos();
                let told = self.link.progress(number).map_or(0, |progress| progress.at);
                let since = marks.started.max(told).min(clock);
                let cpu = limits.cpu.and_then(|_| cpu_nanos(Some(self.pid()))).unwrap_or(0);
                Seen { ran: Duration::from_nanos(clock - since), cpu: Duration::from_nanos(cpu.saturating_sub(marks.cpu)) }
            });
            verdict(limits, seen)
        });
        match front {
            Some(Verdict::Over(kind, limit)) => Some((Some(Cause::TimedOut(kind, limit)), now)),
            Some(Verdict::LookIn(time)) => [now.checked_add(time), behind].into_iter().flatten().min().map(|at| (None, at)),
            None => behind.map(|at| (None, at)),
        }
    }

    /// With what the job of `cell` ends that ended itself early, or whose worker was ended because of it, which then has ended
    /// like `how`.
    pub(super) fn outcome_of_end(&self, cell: &Cell, cause: Cause, how: Option<(HowItEnded, &[String])>) -> JobError {
        let reason = match cause {
            Cause::TimedOut(kind, limit) => {
                let (phase, started) = self.link.last_words();
                let elapsed = Duration::from_nanos(monotonic_nanos().saturating_sub(started)).min(cell.submitted.elapsed());
                let (how, stderr) = how.map_or((None, Vec::new()), |(how, stderr)| (Some(how), stderr.to_vec()));
                let did_run = if how.is_none() { DidRun::Maybe } else { Phase::from_u32(phase).did_run() };
                return JobError::TimedOut(Box::new(TimedOut {
                    job: cell.id(),
                    target: cell.target,
                    worker: self.worker.to_string(),
                    pid: self.pid(),
                    attempt: cell.attempt(),
                    kind,
                    limit,
                    elapsed,
                    did_run,
                    how,
                    stderr,
                }));
            }
            Cause::Aborted if how.is_none() => "JobHandle::abort asked it to end, and it ended itself; it may have run in part",
            Cause::Aborted => "JobHandle::abort ended it and its worker; it may have run in part",
            Cause::PoolEnds => "the pool ends, and the job ended itself; it may have run in part",
        };
        JobError::Cancelled(Cancelled { job: cell.id(), target: cell.target, reason })
    }

    /// The outcome of a job of `cell` that has ended itself.
    pub(super) fn outcome_of_early_end(&self, cell: &Cell) -> JobError {
        let known = self.overdue.as_ref().filter(|overdue| std::ptr::eq(Arc::as_ptr(&overdue.cell), cell));
        // Without a cause that is known of this job, all were asked.
        self.outcome_of_end(cell, known.map_or(Cause::PoolEnds, |overdue| overdue.cause), None)
    }
}

impl Core {
    /// Something is due at this time, of which the supervisor may not know.
    pub(super) fn note_due(&mut self, at: Instant) {
        if self.wakes_at.is_none_or(|wakes_at| at < wakes_at) {
            (self.wakes_at, self.wake) = (Some(at), true);
        }
    }

    /// Ends the jobs that have met a limit, as far as it is time for that.
    pub(super) fn end_overdue_jobs(&mut self, now: Instant, grace: Duration) {
        let (mut ended, mut mean) = (std::mem::take(&mut self.jobs_ended), self.mean);
        let due = self.all_processes_mut().filter(|process| process.is_to_be_looked_at(now));
        let back: Vec<_> = due.flat_map(|process| process.look_at_limits(now, grace, &mut ended, &mut mean)).collect();
        (self.jobs_ended, self.mean) = (ended, mean);
        self.take_up_again();
        self.requeue(back);
    }

    /// Ends the job of `cell`, which a worker runs. False if none does.
    pub(super) fn abort(&mut self, cell: &Arc<Cell>, now: Instant, grace: Duration) -> bool {
        let (mut ended, mut mean) = (std::mem::take(&mut self.jobs_ended), self.mean);
        let has_it = |process: &&mut Process| process.in_flight.iter().any(|job| Arc::ptr_eq(&job.cell, cell));
        let found = self.all_processes_mut().find(has_it).and_then(|process| {
            process.drain(&mut ended, &mut mean);
            process.runs(cell).then_some(process)
        });
        let due = found.map(|process| {
            if process.overdue.as_ref().is_none_or(|overdue| !Arc::ptr_eq(&overdue.cell, cell)) {
                process.ask(Cause::Aborted, now, grace);
            }
            process.look_at
        });
        (self.jobs_ended, self.mean) = (ended, mean);
        self.take_up_again();
        if let Some(at) = due.flatten() {
            self.note_due(at);
        }
        due.is_some()
    }

    /// A job that has expired ends, if no worker has started it.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(cell) = self.expiries.next_due(now) {
            let Some(limit) = cell.rules.as_ref().and_then(|rules| rules.expires) else { continue };
            if cell.attempt() == 1 && !cell.is_finished() {
                let error = crate::error::Expired { job: cell.id(), target: cell.target, limit };
                self.withdraw(&cell, JobError::Expired(error));
            }
        }
    }
}

/// How long a job has run that has ended so.
pub(super) fn with_elapsed(error: &JobError, facts: Facts) -> Facts {
    match error {
        JobError::TimedOut(error) => Facts { ran: Some(error.elapsed), ..facts },
        _ => facts,
    }
}
