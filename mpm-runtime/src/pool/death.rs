//! The death of a pool's process: which job dies with it, and what its report says.

use std::time::{Duration, Instant};

use super::cell::{Cell, Facts, Raw};
use super::ended::Ended;
use super::member::{Fate, Process, State, Waiting};
use super::overdue::with_elapsed;
use crate::error::{Cancelled, Death, DidRun, EndReason, JobError, Phase};
use crate::link::{Bytes, TakenBack};
use crate::start::how;
use crate::sys::{Exit, monotonic_nanos};

impl Process {
    /// After its death, with its responses drained: ends the jobs that die with it, and returns those that were never started.
    pub(super) fn dies(&mut self, exit: Exit, stderr: &[String], ended: &mut Ended) -> Vec<Waiting> {
        let damaged = matches!(self.fate, Some(Fate::Damaged(_)));
        let checked = if damaged { None } else { self.unstarted() };
        let (running, payloads, items) = checked.unwrap_or((self.in_flight.len(), Vec::new(), None));
        // Asked of a worker without a job as well: its end may explain a kill.
        let out_of_memory = self.out_of_memory(exit);
        let mut unstarted = Vec::new();
        if let Some((ran, payload)) = items {
            let death = |process: &Self, cell: &Cell, id| process.outcome_of_death(cell, id, exit, out_of_memory, stderr).0;
            unstarted.extend(self.leave_chunk(ran.then_some(death), payload, ended));
        } else {
            for _ in 0..running {
                let Some(job) = self.in_flight.pop_front() else { break };
                self.more = self.more.saturating_sub(job.cell.more());
                let (error, facts) = self.outcome_of_death(&job.cell, job.cell.id(), exit, out_of_memory, stderr);
                ended.end(job.cell, Raw::Failed(error), facts);
            }
        }
        unstarted.extend(self.reunite(payloads));
        unstarted
    }

    /// How many requests had been claimed (0 or 1), and the payloads of the rest; if the one was a chunk, whether a job of it ran, and
    /// the payload of those behind it. `None` if the link is damaged.
    #[expect(clippy::type_complexity, reason = "what a dead worker leaves")]
    fn unstarted(&mut self) -> Option<(usize, Vec<TakenBack>, Option<(bool, Bytes)>)> {
        let taken = self.link.was_running().and_then(|running| {
            let items = if running { self.link.items_at_death()? } else { None };
            Ok((usize::from(running), self.link.take_back(u32::from(running))?, items))
        });
        match taken {
            Ok(taken) => Some(taken),
            Err(violation) => {
                self.fate = Some(Fate::Damaged(violation.to_string()));
                None
            }
        }
    }

    /// With what job `id` of `cell` ends, which it had claimed.
    fn outcome_of_death(
        &self,
        cell: &Cell,
        id: u64,
        exit: Exit,
        out_of_memory: Option<bool>,
        stderr: &[String],
    ) -> (JobError, Facts) {
        let facts = self.facts(None, Instant::now());
        if let Some(Fate::Ended(reason)) = self.fate {
            let error = JobError::Cancelled(Cancelled { job: id, target: cell.target, reason });
            return (error, facts);
        }
        if let Some(Fate::Overdue(cause)) = self.fate {
            let error = self.outcome_of_end(cell, cause, Some((how(exit), stderr)));
            let facts = with_elapsed(&error, facts);
            return (error, facts);
        }
        let (phase, started) = self.link.last_words();
        let ended_by_pool = match &self.fate {
            Some(Fate::Damaged(what)) => Some(format!("its link was damaged: {what}")),
            // Unless it was dying already when the pool came.
            Some(Fate::Unready(what) | Fate::Unfit(_, what)) if exit.signal() == Some(9) && out_of_memory != Some(true) => {
                Some(format!("it {what}"))
            }
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
            job: id,
            tag: cell.tag().cloned(),
            attempt: cell.attempt(),
            elapsed,
            max_rss: exit.max_rss,
            stderr: stderr.to_vec(),
            reason: self.reason.filter(|_| ended_by_pool.is_some()).unwrap_or(EndReason::Died),
            ended_by_pool,
        };
        let facts = Facts { ran: Some(elapsed), ..facts };
        (JobError::Died(Box::new(death)), facts)
    }

    /// Whether the kernel's out-of-memory killer was it: a SIGKILL that the pool did not send, while the kernel counted
    /// one more such kill, and no other worker was its victim. To be asked once.
    fn out_of_memory(&self, exit: Exit) -> Option<bool> {
        // An unready one may have been dying already.
        if exit.signal() != Some(9)
            || matches!(self.fate, Some(Fate::Damaged(_) | Fate::Unfit(..) | Fate::Ended(_) | Fate::Overdue(_)))
        {
            return Some(false);
        }
        self.oom_kills_before?.explain()
    }

    /// Why it ended that the pool has not told to.
    pub(super) fn why_it_ended(&self, exit: Exit) -> EndReason {
        let had_its_jobs = self.may_take() == 0 && exit.code() == Some(0);
        match self.state {
            _ if had_its_jobs => EndReason::JobLimit,
            State::Starting { .. } if self.refused.is_some() => EndReason::Unready,
            _ => EndReason::Died,
        }
    }
}
