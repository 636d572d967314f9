//! Running jobs that have to end: they have met a limit, or somebody wants it. The end comes in steps:
//!
//! | step | entered | the job may |
//! |---|---|---|
//! | asked | it met a limit, or `JobHandle::abort` | see that, and return or end itself: its worker goes on |
//! | terminated | half the grace later: SIGTERM to the worker's process group | be cleaned up after by a handler, or return: its worker is killed then |
//! | killed | at the end of the grace: SIGKILL to the group | nothing |
//!
//! Before each signal everything that the worker has not claimed is taken back, and only then the responses that are there are taken in:
//! if the job has none, the worker has that job or none from then on. So a job that has ended meanwhile has its value, and the signal never
//! hits the next one: it is not sent if the worker has claimed that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Cell, Facts, Place};
use super::core::Core;
use super::member::{Fate, Process};
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
    /// Its request: another try at it has another one.
    number: u32,
    pub(super) cause: Cause,
    step: Step,
    /// When the next step is due.
    next: Option<Instant>,
}

impl Process {
    /// The job that it runs now is that request, of `cell`. A later try at the same job is another request.
    fn runs(&self, cell: &Arc<Cell>, number: u32) -> bool {
        let is_first = self.in_flight.front().is_some_and(|job| Arc::ptr_eq(&job.cell, cell));
        is_first && self.link.oldest() == number && self.link.was_running().unwrap_or(false)
    }

    /// Asks the job that it runs to end.
    fn ask(&mut self, cause: Cause, now: Instant, grace: Duration) {
        let Some(job) = self.in_flight.front() else { return };
        let (cell, number) = (Arc::clone(&job.cell), self.link.oldest());
        self.link.notify(number, cause.ask() as u32);
        let next = now.checked_add(next_step(Step::Asked, grace).map_or(Duration::ZERO, |(_, after)| after));
        self.overdue = Some(Box::new(Overdue { cell, number, cause, step: Step::Asked, next }));
        self.look_at = self.or_behind(next, now);
    }

    /// The job that it runs is to end because somebody wants it: asks it, or changes why it was asked. False if it runs another one.
    fn abort(&mut self, cell: &Arc<Cell>, now: Instant, grace: Duration) -> bool {
        let number = self.link.oldest();
        if !self.runs(cell, number) {
            return false;
        }
        match &mut self.overdue {
            Some(overdue) if overdue.number == number => overdue.cause = Cause::Aborted,
            _ => self.ask(Cause::Aborted, now, grace),
        }
        true
    }

    /// The earlier of that time and of the moment at which a job behind the first one may have met a limit.
    fn or_behind(&self, at: Option<Instant>, now: Instant) -> Option<Instant> {
        let behind = self.in_flight.iter().skip(1).filter_map(|job| job.cell.rules.as_ref()?.soonest()).min();
        let behind = behind.and_then(|soonest| now.checked_add(soonest));
        [at, behind].into_iter().flatten().min()
    }

    /// Asks the job that it runs to end because the pool does; what else follows, the pool does.
    pub(super) fn ask_because_the_pool_ends(&mut self) {
        let number = self.link.oldest();
        // One that was asked before, for a reason of its own, has ended if another one is the oldest.
        let is_asked = self.overdue.as_ref().is_some_and(|overdue| overdue.number == number);
        if !is_asked && !self.in_flight.is_empty() {
            self.link.notify(number, Cause::PoolEnds.ask() as u32);
        }
    }

    /// Whether it is time to look at its jobs' limits.
    pub(super) fn is_to_be_looked_at(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now) && self.can_be_looked_at()
    }

    /// Whether it is there, as far as is known.
    pub(super) fn can_be_looked_at(&self) -> bool {
        self.child.is_some() && !self.is_gone
    }

    /// Whether a job has not answered for whose end the next step is due.
    fn has_step_due(&self, now: Instant) -> bool {
        let is_due = |overdue: &Overdue| overdue.number == self.link.oldest() && overdue.next.is_some_and(|next| next <= now);
        self.overdue.as_deref().is_some_and(is_due)
    }

    /// With its responses taken in, and before that everything taken back from it if a step is due: looks whether a job has met a limit,
    /// and takes the next step where one is being ended.
    fn look_at_limits(&mut self, now: Instant, grace: Duration) {
        self.look_at = None;
        if let Some(overdue) = self.overdue.take() {
            if self.link.oldest() != overdue.number {
                // It has ended, and its worker goes on, or was killed then.
                if self.is_killed {
                    return;
                }
            } else if overdue.next.is_none_or(|next| next > now) {
                self.look_at = self.or_behind(overdue.next, now);
                self.overdue = Some(overdue);
                return;
            } else {
                return self.proceed(overdue, now, grace);
            }
        }
        if let Some((cause, at)) = self.next_limit(now) {
            match cause {
                Some(cause) => self.ask(cause, now, grace),
                None => self.look_at = Some(at),
            }
        }
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
        let behind = self.or_behind(None, now);
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
        // The answer has just been taken in.
        let number = self.link.oldest().wrapping_sub(1);
        let is_it = |overdue: &&Overdue| std::ptr::eq(Arc::as_ptr(&overdue.cell), cell) && overdue.number == number;
        let known = self.overdue.as_deref().filter(is_it);
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
        for slot in 0..self.members.len() {
            let is_due = |core: &Self| core.members.get(slot)?.process.as_ref().map(|process| process.is_to_be_looked_at(now));
            if is_due(self) != Some(true) {
                continue;
            }
            // A response that is there wins. Its process may leave then.
            self.drain_slot(slot);
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            if process.has_step_due(now) {
                let before = process.load();
                let back = process.take_back(1);
                self.note_change(slot, before);
                self.requeue(back);
                // What it claimed until then, it has answered the job before.
                self.drain_slot(slot);
            }
            // It may not be the one any more that was to be looked at: then another look is of no harm.
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            process.look_at_limits(now, grace);
        }
    }

    /// Ends the job of `cell`, and lets it have no further try. False if it has ended.
    pub(super) fn abort(&mut self, cell: &Arc<Cell>, now: Instant, grace: Duration) -> bool {
        let has_it = |process: &Process| process.in_flight.iter().any(|job| Arc::ptr_eq(&job.cell, cell));
        if let Some(slot) = self.members.iter().position(|member| member.process.as_ref().is_some_and(has_it)) {
            self.drain_slot(slot);
            let process = self.members.get_mut(slot).and_then(|member| member.process.as_mut());
            if let Some(process) = process
                && process.abort(cell, now, grace)
                && let Some(at) = process.look_at
            {
                self.note_due(at);
            }
        }
        if let Some(retrying) = cell.retrying().filter(|_| !cell.is_finished()) {
            retrying.tries().is_last = true;
        }
        // It may have come back meanwhile, from a try that has failed.
        !cell.is_finished() && (cell.place() != Place::Queue || self.withdraw_for_abort(cell))
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
