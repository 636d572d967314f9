//! Handing jobs to members: idle ones first, then as far ahead as job times make it useful; and taking jobs back from a
//! busy member when another has nothing to do.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
use std::sync::Arc;

use super::core::Core;
use super::member::{Fate, InFlight, Process, Waiting};
use super::policy::look_ahead;
use super::queue::DEAD;
use crate::error::{DataError, JobError};
use crate::link::{NoRoom, TakenBack};

impl Core {
    /// Hands out what can be handed out.
    pub(super) fn dispatch(&mut self) {
        loop {
            while self.queue.front().is_some_and(|job| job.cell.place() == DEAD) {
                self.queue.pop_front();
            }
            if self.queue.is_empty() && !self.steal() {
                return;
            }
            let Some(slot) = self.choose() else { return };
            let Some(job) = self.queue.pop_front() else { return };
            self.waiting -= 1;
            self.freed = true;
            if !self.hand_over(slot, job) {
                return;
            }
        }
    }

    /// The member for the next job: an idle one, the most recently used first, since its memory is warm; else the one
    /// with the fewest jobs, if that is not too many.
    fn choose(&self) -> Option<usize> {
        let limit = look_ahead(self.mean);
        let candidates = self.members.iter().enumerate().filter_map(|(slot, m)| Some((slot, m.process.as_ref()?)));
        candidates
            .filter(|(_, p)| p.takes_jobs() && p.link.in_flight() < limit && self.may_take(p) > 0)
            .min_by_key(|(_, p)| (p.link.in_flight(), u64::MAX - p.last_used))
            .map(|(slot, _)| slot)
    }

    /// False when the member has no room and the job is back at the front of the queue.
    fn hand_over(&mut self, slot: usize, job: Waiting) -> bool {
        self.clock += 1;
        let clock = self.clock;
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else {
            self.requeue(vec![job]);
            return false;
        };
        // Before the worker can have it: once it runs, its report names the worker.
        job.cell.handed_to(Some((&process.worker, process.pid())));
        let pushed = process.link.push(job.target, job.cell.id, 1, &job.payload);
        if pushed.is_err() {
            job.cell.handed_to(None);
        }
        match pushed {
            Ok(()) => {
                job.cell.set_place(u32::try_from(slot).unwrap_or(DEAD));
                process.last_used = clock;
                process.in_flight.push_back(InFlight { cell: job.cell, target: job.target });
                // Its successor is started while this job runs.
                self.wake |= self.members.get(slot).is_some_and(|member| self.wants_successor(member));
                true
            }
            Err(NoRoom::Full) => {
                self.requeue(vec![job]);
                false
            }
            // The worker is dying, or a job has closed its socket. This job was never there, so another one can have it.
            Err(NoRoom::Failed(error)) if matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected) => {
                process.kill(Fate::Unready("closed its control socket".to_owned()));
                self.requeue(vec![job]);
                true
            }
            Err(NoRoom::Failed(error)) => {
                let reason = format!("{} bytes of arguments cannot be put into shared memory: {error}", job.payload.len());
                let error = DataError { job: job.cell.id, target: job.cell.target, reason, in_worker: false };
                self.give_up(Arc::clone(&job.cell), JobError::Encode(Box::new(error)));
                true
            }
            Err(NoRoom::Violation(violation)) => {
                process.kill(Fate::Damaged(violation.to_string()));
                self.requeue(vec![job]);
                true
            }
        }
    }

    /// Where a member is idle and nothing waits: takes half of what the busiest member has not claimed back into the
    /// queue. A job thus never waits behind a long one while a worker has nothing to do.
    fn steal(&mut self) -> bool {
        let idle = self.processes().any(|p| p.takes_jobs() && p.in_flight.is_empty());
        if !idle {
            return false;
        }
        let busiest = self.processes_mut().filter(|p| p.takes_jobs() && p.in_flight.len() > 1).max_by_key(|p| p.link.unclaimed());
        let Some(process) = busiest else { return false };
        let keep = process.link.in_flight() - process.link.unclaimed().div_ceil(2);
        let jobs = process.take_back(keep);
        let any = !jobs.is_empty();
        self.requeue(jobs);
        any
    }
}

impl Process {
    /// Takes back the jobs from the `keep`-th on that the worker has not claimed, oldest first.
    pub(super) fn take_back(&mut self, keep: u32) -> Vec<Waiting> {
        if matches!(self.fate, Some(Fate::Damaged(_))) {
            return Vec::new();
        }
        match self.link.take_back(keep) {
            Ok(payloads) => self.reunite(payloads),
            Err(violation) => {
                self.kill(Fate::Damaged(violation.to_string()));
                Vec::new()
            }
        }
    }

    /// Joins payloads that came back with their jobs, the newest ones in flight.
    pub(super) fn reunite(&mut self, payloads: Vec<TakenBack>) -> Vec<Waiting> {
        let first = self.in_flight.len().saturating_sub(payloads.len());
        let jobs = self.in_flight.drain(first..);
        jobs.zip(payloads).map(|(job, (_, payload))| Waiting { cell: job.cell, target: job.target, payload }).collect()
    }
}
