//! Replacing workers on purpose: whoever is due gets a successor, goes on until that is ready, gives back what it has not begun,
//! finishes what it has, and leaves.
//!
//! At most a share of the workers is in the middle of that at a time. One that has had all its jobs waits for nobody.

use std::time::Instant;

use super::core::Core;
use super::limits::Limits;
use super::member::{Fate, Member, Process, State};
use super::policy_recycle::{Worker, at_a_time, due, quota};
use crate::error::EndReason;
use crate::sys::{random, resident_of};

impl Core {
    /// Sets other limits, which hold from now on.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        let size = self.limits.max_size().unwrap_or(0);
        for process in self.members.iter_mut().flat_map(|member| member.process.iter_mut().chain(&mut member.next)) {
            process.link.limit_size(size);
            // One that has had as many already is due, and goes on until its successor is there.
            let is_within = |quota: &u64| process.jobs_done + (process.in_flight.len() as u64) < *quota;
            if let Some(quota) = quota(&self.limits, random()).filter(is_within) {
                process.quota = Some(process.quota.map_or(quota, |before| before.min(quota)));
            }
        }
        self.weighs = size > 0;
        (self.is_recycling, self.wake) = (true, true);
    }

    /// After other limits were set: looks how much memory those hold who have no job. The others look by themselves, after it.
    fn weigh_idle(&mut self) {
        if std::mem::take(&mut self.weighs) {
            for process in self.processes_mut().filter(|process| process.is_idle()) {
                process.weight = resident_of(process.pid()).unwrap_or(0);
            }
        }
    }

    /// Replaces all workers that there are now, one share after the other.
    pub(super) fn restart(&mut self, before: u64) {
        self.restart_before = before;
        (self.is_recycling, self.wake) = (true, true);
    }

    /// Whether a worker is left that was to be replaced.
    pub(super) fn is_restarting(&self) -> bool {
        self.all_processes().any(|process| process.incarnation < self.restart_before)
    }

    /// Has those look who wait until all of these have ended: one has, or not all will.
    pub(super) fn tell_who_waits_for_ends(&mut self) {
        self.has_restarted |= self.restart_waiters > 0;
    }

    /// The supervisor's part of replacing workers: one step, to be taken at every turn.
    pub(super) fn recycle(&mut self, now: Instant) {
        if !self.is_recycling || !self.wants_processes() || self.ending.is_some() {
            return;
        }
        (0..self.members.len()).for_each(|slot| self.hand_place_over(slot));
        if !self.is_restarting() {
            self.restart_before = 0;
        }
        self.weigh_idle();
        self.mark_who_is_due(now);
        let limits = &self.limits;
        let has_limits = limits.max_jobs.is_some() || limits.max_age.is_some() || limits.max_size().is_some();
        self.is_recycling = has_limits || self.restart_before > 0 || self.members.iter().any(Member::is_being_replaced);
    }

    fn mark_who_is_due(&mut self, now: Instant) {
        let mut room = self.room_for_replacements();
        if room == 0 {
            return;
        }
        let due = |(slot, member)| self.due(member, now).map(|(rank, reason)| (rank, slot, reason));
        let mut due: Vec<_> = self.members.iter().enumerate().filter_map(due).collect();
        due.sort_unstable_by_key(|(rank, ..)| *rank);
        for (_, slot, reason) in due {
            let process = self.members.get_mut(slot).and_then(|member| member.process.as_mut());
            if room > 0
                && let Some(process) = process
            {
                process.replace = Some(reason);
                room -= 1;
            }
        }
    }

    /// How many workers more may be replaced now.
    fn room_for_replacements(&self) -> usize {
        let open = self.members.iter().filter(|member| member.is_open);
        let limit = at_a_time(self.limits.recycle_share, open.clone().count());
        // Those that can wait for their turn, until they are gone.
        let in_turn =
            |process: &&Process| matches!(process.reason, Some(EndReason::Restarted | EndReason::Memory | EndReason::Age));
        let leaving = self.leaving.iter().filter(in_turn).count();
        limit.saturating_sub(open.filter(|member| member.is_being_replaced()).count() + leaving)
    }

    /// Why a member's process is to be replaced, if it is; before, its rank among all that are: who has a job, which may be a long one,
    /// comes after who has none, and the older one first.
    fn due(&self, member: &Member, now: Instant) -> Option<((bool, u64), EndReason)> {
        let process = member.process.as_ref().filter(|process| member.is_open && process.replace.is_none())?;
        let State::Ready { since } = process.state else { return None };
        let worker = Worker {
            is_of_before: process.incarnation < self.restart_before,
            age: now.saturating_duration_since(since),
            jobs_done: process.jobs_done,
            quota: process.quota,
            oversize: process.link.oversize().max(process.weight),
        };
        let is_there = process.takes_jobs() && process.may_take() > 0;
        let rank = (!process.in_flight.is_empty(), process.incarnation);
        due(&worker, &self.limits).filter(|_| is_there).map(|reason| (rank, reason))
    }

    /// When the next worker will be too old, if it can be replaced then. One that cannot waits for another to leave, which is an event.
    pub(super) fn next_age(&self) -> Option<Instant> {
        let max_age = self.limits.max_age.filter(|_| self.ending.is_none() && self.wants_processes())?;
        if self.room_for_replacements() == 0 {
            return None;
        }
        let ready = self.members.iter().filter(|member| member.is_open).filter_map(|member| member.process.as_ref());
        let ready = ready.filter(|process| process.takes_jobs() && process.replace.is_none() && process.may_take() > 0);
        ready.filter_map(|process| process.ready_since()?.checked_add(max_age)).min()
    }

    /// Where a successor is ready, lets it have the place as soon as the one before has done what it has begun.
    fn hand_place_over(&mut self, slot: usize) {
        let Some(member) = self.members.get_mut(slot) else { return };
        let Some(reason) = member.process.as_ref().filter(|process| process.takes_jobs()).and_then(|process| process.replace)
        else {
            return;
        };
        if member.next.front().is_some_and(Process::takes_jobs) {
            member.failures = 0;
            self.finish(slot, reason);
        }
    }

    /// Lets the process in a slot have no more jobs, and takes back what it has not begun. It leaves when it has done the rest.
    pub(super) fn finish(&mut self, slot: usize, reason: EndReason) {
        let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { return };
        let Some(since) = process.ready_since() else { return };
        let back = process.take_back_unstarted(&mut self.jobs_ended);
        process.state = State::Finishing { since, reason };
        // Its successor is to be started; and it may have been asked to call at a response that will not come now.
        self.wake = true;
        self.requeue(back);
        self.retire(slot);
    }

    /// To be called when a worker has answered: lets it go if that was all that it had to do. One that was told to end because of its job
    /// is killed then, and may not end in its own way.
    pub(super) fn retire(&mut self, slot: usize) {
        let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { return };
        if let Some(Fate::Overdue(cause)) = process.fate
            && process.in_flight.is_empty()
        {
            process.kill(Fate::Overdue(cause));
        }
        if process.is_through() {
            self.let_go(slot);
        } else if process.spent && process.takes_jobs() {
            self.finish(slot, EndReason::Unready);
        }
    }

    /// The process in a slot leaves, and its successor takes the place.
    fn let_go(&mut self, slot: usize) {
        let deadline = Instant::now().checked_add(self.grace);
        let Some(member) = self.members.get_mut(slot) else { return };
        let Some(mut process) = member.process.take() else { return };
        member.process = member.next.pop_front();
        if process.jobs_done > 0 {
            member.failures = 0;
        }
        process.stop(deadline, process.why_it_leaves());
        self.leaving.push(process);
        self.wake = true;
    }

    /// Lets a process go that has no job and may not have come to the first.
    pub(super) fn dismiss(&mut self, mut process: Process, reason: EndReason) {
        process.reason.get_or_insert(reason);
        if process.child.is_none() {
            process.kill(Fate::Ended("the pool did not need the worker any more"));
        } else {
            process.stop(Instant::now().checked_add(self.grace), reason);
        }
        self.leaving.push(process);
    }
}

impl Member {
    fn is_being_replaced(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.replace.is_some())
    }
}

impl Process {
    /// Whether it has done all that it was to do.
    pub(super) fn is_through(&self) -> bool {
        self.in_flight.is_empty() && (matches!(self.state, State::Finishing { .. }) || self.may_take() == 0)
    }

    /// Since when it can take jobs, or could until it was told to finish.
    pub(super) fn ready_since(&self) -> Option<Instant> {
        match self.state {
            State::Ready { since } | State::Finishing { since, .. } => Some(since),
            _ => None,
        }
    }

    fn why_it_leaves(&self) -> EndReason {
        match self.state {
            State::Finishing { reason, .. } => reason,
            _ => EndReason::JobLimit,
        }
    }
}
