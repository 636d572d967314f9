//! How many workers a pool has: it grows with what waits, shrinks when workers have nothing to do, and becomes what it is told to.
//!
//! Places keep their numbers. A place that is given up is closed: its worker gets no more jobs, and leaves when it has done what it has
//! begun. Should the pool grow meanwhile, that worker stays.

use std::time::{Duration, Instant};

use super::core::Core;
use super::member::{Member, Process, State};
use super::policy_size::{Demand, Seat, growth, who_goes, worth};
use super::size::Size;
use crate::error::EndReason;

/// A pool that has too few workers for what waits, and may have more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    since: Instant,
    /// The job that was the newest then.
    last_job: u64,
    /// Workers that will be there soon, which is an event.
    coming: usize,
}

/// How long jobs may wait for others of their kind before a worker more is worth it.
const PATIENCE: Duration = Duration::from_millis(5);

/// At most so many entries of the queue are counted.
const COUNTED: usize = 4096;

impl Core {
    /// Sets another size, for [`fit`](Self::fit) to bring the pool to.
    pub(super) fn set_size(&mut self, size: Size) {
        self.size = size;
        self.shelf.set_workers(size.most);
        self.wake = true;
    }

    /// The places that the pool has workers for.
    fn open(&self) -> usize {
        self.members.iter().filter(|member| member.is_open).count()
    }

    /// Whether the pool may have more workers, and a job waits that nobody has looked at for that, or more than those are for who come.
    pub(super) fn is_short_of_workers(&self) -> bool {
        let is_short = || match self.pressure {
            None => self.has_jobs_for_workers() || self.roster.ahead() > 0,
            Some(Pressure { coming: 0, .. }) => false,
            // No more than `grow` will count: nobody is to be woken in vain by each job.
            Some(Pressure { coming, .. }) => worth(self.backlog(|| self.queue.len().min(COUNTED)), self.mean) > coming,
        };
        self.may_grow && is_short()
    }

    /// Brings the pool to its size, before jobs are handed out. New workers are for the supervisor to start.
    pub(super) fn fit(&mut self, now: Instant) {
        if self.ending.is_some() || self.failed.is_some() {
            return;
        }
        let open = self.open();
        if open > self.size.most {
            self.close(open - self.size.most, EndReason::Resized, |_| true);
        } else if open < self.size.least {
            self.open_places(self.size.least - open);
        } else if open > self.size.least {
            let (surplus, nothing_waits) = (open - self.size.least, self.waiting == 0);
            let max_idle = self.limits.max_idle;
            self.close(surplus, EndReason::Idle, |member| match &member.process {
                // Of no use any more, before it has begun.
                None => nothing_waits,
                Some(process) => process.idle_until(max_idle).is_some_and(|until| until <= now),
            });
        }
    }

    /// When a worker will have had nothing to do for too long.
    pub(super) fn next_idle(&self) -> Option<Instant> {
        let is_surplus = self.ending.is_none() && self.failed.is_none() && self.size.is_range() && self.open() > self.size.least;
        let processes = self.members.iter().filter(|member| is_surplus && member.is_open).filter_map(|m| m.process.as_ref());
        processes.filter_map(|process| process.idle_until(self.limits.max_idle)).min()
    }

    /// When it is to be seen whether jobs have waited for too long.
    pub(super) fn next_growth(&self) -> Option<Instant> {
        self.pressure.filter(|pressure| pressure.coming == 0)?.since.checked_add(PATIENCE)
    }

    /// The supervisor's other part: after jobs were handed out, makes places for those that found no worker. Whether jobs can be
    /// handed out again.
    pub(super) fn grow(&mut self, now: Instant) -> bool {
        let workers = self.open();
        self.may_grow = workers < self.size.most && self.wants_processes();
        if !self.may_grow {
            self.pressure = None;
            return false;
        }
        let plain = || self.queue.iter().take(COUNTED).map(|job| 1 + job.cell.more()).sum::<usize>();
        let backlog = self.backlog(plain);
        let open = || self.members.iter().filter(|member| member.is_open);
        let demand = Demand {
            backlog,
            mean: self.mean,
            is_overdue: self.is_overdue(backlog, now),
            idle: open().filter_map(|member| member.process.as_ref()).filter(|process| process.is_idle()).count(),
            coming: open().filter(|member| member.process.as_ref().is_none_or(Process::is_starting)).count(),
            workers,
            most: self.size.most,
        };
        let more = growth(&demand);
        self.pressure = (backlog > 0 && demand.idle == 0).then(|| {
            let still = self.pressure.filter(|pressure| now.saturating_duration_since(pressure.since) < PATIENCE);
            let (since, last_job) = still.map_or((now, self.last_job), |pressure| (pressure.since, pressure.last_job));
            Pressure { since, last_job, coming: demand.coming + more }
        });
        let reopened = self.open_places(more);
        self.may_grow = self.open() < self.size.most;
        if !self.may_grow {
            self.pressure = None;
        }
        reopened
    }

    /// How many jobs wait for a worker: behind another one, or in the queue, where there are so many in its plain part.
    fn backlog(&self, plain: impl FnOnce() -> usize) -> usize {
        if self.waiting == 0 || self.is_paused() {
            return self.roster.ahead();
        }
        self.roster.ahead() + plain() + self.lanes.as_ref().map_or(0, |lanes| lanes.free_jobs())
    }

    /// Whether some of the waiting jobs wait for longer than anybody should: not all of them have come since they were looked at.
    fn is_overdue(&self, backlog: usize, now: Instant) -> bool {
        let is_time = |pressure: &Pressure| now.saturating_duration_since(pressure.since) >= PATIENCE;
        let came = |pressure: Pressure| self.last_job - pressure.last_job;
        self.pressure.filter(is_time).is_some_and(|pressure| backlog as u64 > came(pressure))
    }

    /// Makes so many places more. Whether one of them has a worker already.
    fn open_places(&mut self, count: usize) -> bool {
        let mut missing = count;
        let mut reopened = false;
        for member in self.members.iter_mut().filter(|member| !member.is_open) {
            if missing > 0
                && let Some(process) = member.process.as_mut()
                && let State::Finishing { since, reason: EndReason::Resized } = process.state
                && process.fate.is_none()
            {
                process.state = State::Ready { since };
                (member.is_open, reopened) = (true, true);
                missing -= 1;
            }
        }
        for member in self.members.iter_mut().filter(|member| !member.is_open && member.process.is_none()).take(missing) {
            member.is_open = true;
            missing -= 1;
        }
        for _ in 0..missing {
            let slot = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
            self.members.push(Member::new(slot));
        }
        reopened
    }

    /// Closes up to `count` of the places that `may_go`.
    fn close(&mut self, count: usize, reason: EndReason, may_go: impl Fn(&Member) -> bool) {
        let seat = |member: &Member| (member.is_open && may_go(member)).then(|| member.seat());
        let seats: Vec<_> = self.members.iter().map(seat).collect();
        for slot in who_goes(&seats, count) {
            self.close_place(slot, reason);
        }
        // It is remembered where starts have failed.
        let is_nothing = |member: &mut Member| !member.is_open && member.process.is_none() && member.failures == 0;
        while self.members.pop_if(is_nothing).is_some() {}
    }

    fn close_place(&mut self, slot: usize, reason: EndReason) {
        let Some(member) = self.members.get_mut(slot) else { return };
        member.is_open = false;
        let successors = std::mem::take(&mut member.next);
        let early = member.process.take_if(|process| process.is_starting());
        if let Some(process) = member.process.as_mut() {
            process.replace = None;
        }
        let takes_jobs = member.process.as_ref().is_some_and(Process::takes_jobs);
        successors.into_iter().chain(early).for_each(|process| self.dismiss(process, reason));
        if takes_jobs {
            self.finish(slot, reason);
        }
    }
}

impl Member {
    pub(super) fn new(slot: u32) -> Self {
        Self { slot, is_open: true, process: None, next: std::collections::VecDeque::new(), not_before: None, failures: 0 }
    }

    fn seat(&self) -> Seat {
        match &self.process {
            None => Seat::Empty,
            Some(process) if process.is_starting() => Seat::Starting,
            Some(process) if process.is_idle() => Seat::Idle(process.last_used),
            Some(process) => Seat::Busy(process.load()),
        }
    }
}

impl Process {
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting { .. })
    }

    /// When it will have been idle for `time`, if nobody gives it a job.
    fn idle_until(&self, time: Option<Duration>) -> Option<Instant> {
        let (jobs, since) = self.idle_since?;
        (self.is_idle() && jobs == self.last_used).then(|| since.checked_add(time?)).flatten()
    }
}
