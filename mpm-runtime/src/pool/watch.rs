//! Looking after workers while they have jobs: whether they stand still, and whether they hold too much memory.
//!
//! The supervisor looks now and then (`look_every`) as long as jobs are handed out or run, and not once when there are none. Whoever hands
//! a job to a pool that nobody looks at wakes it.

use std::time::{Duration, Instant};

use super::core::Core;
use super::member::{Fate, Process};
use super::policy_watch::{Stands, look_every};
use crate::error::EndReason;
use crate::sys::{resident_of, state_of};

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Somebody will look, or there is nothing to look for.
    pub(super) is_on: bool,
    last: Option<Instant>,
    /// How many jobs had been handed out then.
    clock: u64,
}

impl Core {
    /// Whether there is anything to look for in a worker that has a job.
    fn needs_looks(&self) -> bool {
        let limits = &self.limits;
        limits.unresponsive().is_some() || limits.max_rss_hard.is_some() || (limits.max_idle.is_some() && self.size.is_range())
    }

    fn look_every(&self) -> Duration {
        look_every(self.limits.unresponsive(), self.limits.max_rss_hard.is_some() || self.size.is_range())
    }

    /// When the next look is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.watch.last.and_then(|last| last.checked_add(self.look_every()))
    }

    /// The supervisor's part: looks if it is time to.
    pub(super) fn look_after_workers(&mut self, now: Instant) {
        let every = self.look_every();
        let Some(last) = self.watch.last.filter(|last| now.saturating_duration_since(*last) >= every) else { return };
        // What is more than that nobody has seen.
        let passed = now.saturating_duration_since(last).min(2 * every);
        (0..self.members.len()).for_each(|slot| self.look_after(slot, passed, now));
        let is_busy = self.clock != self.watch.clock || self.processes().any(|process| !process.in_flight.is_empty());
        self.watch = Watch { is_on: is_busy, last: is_busy.then_some(now), clock: self.clock };
    }

    /// At the end of a turn: begins to look, if a job has been handed out and nobody looks yet.
    pub(super) fn begin_to_look(&mut self, now: Instant) {
        if !self.needs_looks() {
            self.watch = Watch { is_on: true, last: None, clock: self.clock };
        } else if self.watch.last.is_none() {
            let is_on = self.clock != self.watch.clock || self.roster.busy() > 0;
            self.watch = Watch { is_on, last: is_on.then_some(now), clock: self.clock };
        }
    }

    fn look_after(&mut self, slot: usize, passed: Duration, now: Instant) {
        let (unresponsive, hard) = (self.limits.unresponsive(), self.limits.max_rss_hard);
        let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { return };
        if process.in_flight.is_empty() {
            if process.idle_since.is_none_or(|(jobs, _)| jobs != process.last_used) {
                process.idle_since = Some((process.last_used, now));
            }
            return;
        }
        if process.fate.is_some() || process.is_gone {
            return;
        }
        let number = process.link.oldest();
        if let Some(fate) = hard.and_then(|most| process.weigh(most)) {
            return self.cull(slot, (number, true), fate);
        }
        let Some(time) = unresponsive else { return };
        let (is_taken, text) = match process.stands_still(passed, time) {
            None => return,
            Some(Stands::Stopped) => (true, "was stopped by a signal for"),
            Some(Stands::Wedged) => (false, "did not take a job for"),
        };
        self.cull(slot, (number, is_taken), Fate::Unfit(EndReason::Unresponsive, format!("{text} {time:?}")));
    }

    /// Kills a process if its oldest job is still the one of this number, and taken or not as it was, so that no other job is hit.
    fn cull(&mut self, slot: usize, (number, is_taken): (u32, bool), fate: Fate) {
        let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { return };
        let back = process.take_back_unstarted(&mut self.jobs_ended);
        process.drain(&mut self.jobs_ended, &mut self.mean);
        if process.link.oldest() == number && process.in_flight.is_empty() != is_taken {
            process.kill(fate);
        }
        self.requeue(back);
        self.retire(slot);
    }
}

impl Process {
    fn weigh(&self, most: u64) -> Option<Fate> {
        let size = resident_of(self.pid()).filter(|size| *size > most)?;
        let text = format!("held {} MiB of memory, where {} MiB are allowed", mib(size), mib(most));
        Some(Fate::Unfit(EndReason::Memory, text))
    }

    fn stands_still(&mut self, passed: Duration, limit: Duration) -> Option<Stands> {
        let is_taken = self.link.unclaimed() < self.link.in_flight();
        let asks = self.seen.look(self.link.oldest(), is_taken, passed, limit);
        if asks { self.seen.judge(state_of(self.pid()), limit) } else { None }
    }
}

/// Whole mebibytes, of which a part counts as one.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}
