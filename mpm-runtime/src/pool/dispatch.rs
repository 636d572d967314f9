//! Handing jobs to members, as far ahead as job times make it useful; and taking jobs back from a busy member when another has
//! nothing to do.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};

use std::time::Instant;

use super::cell::Place;
use super::core::Core;
use super::member::{Fate, InFlight, Process, Waiting};
use super::rules::Rules;
use crate::error::{DataError, JobError};
use crate::link::{Head, NoRoom, TakenBack, Violation};

impl Core {
    /// Hands out what can be handed out, and publishes it: one publication and at most one wake-up for each member.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        self.hand_out();
        self.publish_all();
    }

    /// Publishes what was [handed out](Self::hand_out).
    pub(super) fn publish_all(&mut self) {
        loop {
            while let Some(slot) = self.next_unpublished() {
                self.publish(slot);
            }
            // A link that turned out to be damaged has given its jobs back.
            if self.queue.is_empty() || self.roster.is_full() || self.is_steered() {
                self.wake |= self.is_short_of_workers();
                return;
            }
            self.hand_out();
        }
    }

    /// Writes jobs into the links, for [`publish_all`](Self::publish_all) to publish.
    #[inline]
    pub(super) fn hand_out(&mut self) {
        if self.queue.is_empty() && !self.roster.is_uneven() && !self.is_steered() {
            return self.shrink_queue();
        }
        self.hand_out_some();
    }

    fn hand_out_some(&mut self) {
        loop {
            if self.is_steered() {
                return self.hand_out_by_rules();
            }
            while self.queue.front().is_some_and(|job| job.cell.place() == Place::Dead) {
                self.queue.pop_front();
            }
            if self.queue.is_empty() {
                if self.roster.is_uneven() && self.steal() {
                    continue;
                }
                return self.shrink_queue();
            }
            let Some((slot, most)) = self.choose() else { return };
            for _ in 0..most {
                let Some(job) = self.queue.pop_front() else { break };
                if job.cell.place() == Place::Dead {
                    continue;
                }
                self.waiting -= 1;
                self.freed = true;
                if !self.hand_over(slot, job) {
                    // Another one may have room.
                    self.roster.set_full();
                    break;
                }
            }
        }
    }

    /// False when the member has no room and the job is back at the front of the queue.
    // Called from two ways: the plain one is not to be longer for the other.
    #[inline(always)]
    pub(super) fn hand_over(&mut self, slot: usize, mut job: Waiting) -> bool {
        self.clock += 1;
        let clock = self.clock;
        if !self.watch.is_on {
            (self.watch.is_on, self.wake) = (true, true);
        }
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else {
            self.requeue(vec![job]);
            return false;
        };
        let before = process.load();
        let rules = job.cell.rules.as_deref();
        let attempt = u16::try_from(job.cell.attempt()).unwrap_or(u16::MAX);
        let head = Head { target: job.target, job: job.cell.id(), attempt, note: rules.map_or(0, Rules::note) };
        let pushed = match &job.cell.chunk {
            None => process.link.push(&self.shelf, head, &mut job.payload),
            Some(chunk) => process.link.push_items(&self.shelf, head, chunk.left(), &mut job.payload),
        };
        match pushed {
            Ok(number) => {
                job.cell.set_place(Place::Member(u32::try_from(slot).unwrap_or(u32::MAX), number));
                process.last_used = clock;
                if job.cell.is_watched() {
                    process.watched_until = number.wrapping_add(1);
                }
                let look_at = rules.and_then(Rules::soonest).and_then(|time| Instant::now().checked_add(time));
                process.look_at = [process.look_at, look_at].into_iter().flatten().min();
                process.more += job.cell.more();
                process.in_flight.push_back(InFlight { cell: job.cell, target: job.target });
                self.note_change(slot, before);
                self.note_unpublished(slot);
                if let Some(at) = look_at {
                    self.note_due(at);
                }
                true
            }
            Err(NoRoom::Full) => {
                process.is_link_full = true;
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
                let error = DataError { job: job.cell.id(), target: job.cell.target, reason, in_worker: false };
                self.give_up(job.cell, JobError::Encode(Box::new(error)));
                // It is idle still if it was.
                self.note_change(slot, before);
                true
            }
        }
    }

    /// Lets the worker have what was written for it.
    fn publish(&mut self, slot: usize) {
        let call = self.call_with_more(slot);
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return };
        // Before the worker can answer: nothing that is wanted now was answered before.
        if let Some(call) = call {
            process.link.want(call);
        }
        let published = process.link.publish();
        let is_settled = process.is_settled();
        if let Err(violation) = published {
            let before = process.load();
            let back = process.disown(&violation);
            self.note_change(slot, before);
            self.requeue(back);
        }
        // Its successor is started while its last job runs.
        let wants_successor = || self.members.get(slot).is_some_and(|member| self.wants_successor(member));
        debug_assert!(!is_settled || !wants_successor());
        self.wake |= !is_settled && wants_successor();
    }

    /// Where a member is idle and nothing waits: takes half of what the busiest member has not claimed back into the
    /// queue. A job thus never waits behind a long one while a worker has nothing to do; short jobs may stay for a moment, until it
    /// is known that the one in front is long.
    pub(super) fn steal(&mut self) -> bool {
        if self.stays() {
            self.ask_for_look();
            return false;
        }
        let behind = |process: &Process| process.takes_jobs() && process.in_flight.len() > 1;
        let all = self.members.iter().enumerate().filter_map(|(slot, member)| Some((slot, member.process.as_ref()?)));
        let spare = all.filter(|(_, process)| behind(process)).map(|(slot, process)| (self.spare_jobs(process), slot));
        let Some(((_, keep), slot)) = spare.max().filter(|((spare, _), _)| *spare > 0) else { return self.steal_items() };
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return false };
        let before = process.load();
        let jobs = process.take_back(keep);
        let any = !jobs.is_empty();
        // The worker may have been asked to call at a response that will not come now.
        self.wake |= any;
        self.note_change(slot, before);
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
            Err(violation) => self.disown(&violation),
        }
    }

    /// Ends a worker that has broken the protocol; returns what it never could see.
    fn disown(&mut self, violation: &Violation) -> Vec<Waiting> {
        self.kill(Fate::Damaged(violation.to_string()));
        let payloads = self.link.retract();
        self.reunite(payloads)
    }

    /// The jobs here are not any more what they were: a thread that sleeps on the link has asked for a call that may not come.
    pub(super) fn nudge(&self) {
        if let Some(cell) = &self.attended_for {
            cell.nudge();
        }
    }

    /// Joins payloads that came back with their jobs, the newest ones in flight.
    pub(super) fn reunite(&mut self, payloads: Vec<TakenBack>) -> Vec<Waiting> {
        if !payloads.is_empty() {
            self.nudge();
        }
        let first = self.in_flight.len().saturating_sub(payloads.len());
        let jobs = self.in_flight.drain(first..);
        let back: Vec<_> =
            jobs.zip(payloads).map(|(job, (_, payload))| Waiting { cell: job.cell, target: job.target, payload }).collect();
        self.more -= back.iter().map(|job| job.cell.more()).sum::<usize>();
        back
    }
}
