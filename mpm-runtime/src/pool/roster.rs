//! Who can take a job, kept so that neither handing one out nor taking a response in has to look at all members.
//!
//! The thread that submits a job or takes in a response keeps it up to date in steps; at each turn of the supervisor, which alone
//! starts, stops and buries processes, it is made anew from the members. A step that is missed is made good there and not before: who
//! is named neither as idle nor as at work gets no job.

use super::core::Core;
use super::member::Process;
use super::policy::{look_ahead, stays};
use crate::link::Worker;

#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Slots whose process can take a job and has none, the most recently used last. May name one that has one meanwhile.
    idle: Vec<usize>,
    /// Slots whose process has jobs and is not stuck.
    at_work: Vec<usize>,
    /// Jobs that wait behind another one at their process.
    ahead: usize,
    /// Nobody had room when it was last looked at, and nothing has come back since.
    is_full: bool,
    /// Jobs that came since then.
    turned_away: usize,
    /// Where among those at work the next look for room begins.
    cursor: usize,
    /// Slots with requests that are written and not published.
    unpublished: Vec<usize>,
    /// For `survey` to sort in; empty in between.
    sorted: Vec<(u64, usize)>,
}

impl Roster {
    /// How many are at work.
    pub(super) fn busy(&self) -> usize {
        self.at_work.len()
    }

    /// Jobs that wait behind another one at their process.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    /// Whether there may be a job that another process could begin at once.
    pub(super) fn is_uneven(&self) -> bool {
        self.ahead > 0 && !self.idle.is_empty()
    }

    /// Whether nobody has room, as far as is known.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The link of the chosen one has no room, for a reason that is not the number of its jobs.
    pub(super) fn set_full(&mut self) {
        self.is_full = true;
    }

    /// The process of a slot had `before` jobs and has `after` now.
    fn account(&mut self, slot: usize, before: usize, after: usize) {
        if before == 0 && after > 0 {
            self.at_work.push(slot);
        } else if before > 0
            && after == 0
            && let Some(at) = self.at_work.iter().position(|one| *one == slot)
        {
            self.at_work.swap_remove(at);
        }
        self.ahead = (self.ahead + after.saturating_sub(1)).saturating_sub(before.saturating_sub(1));
        self.is_full &= after >= before;
    }
}

/// A thread that hands in jobs to members that have no room takes in their responses once in so many jobs, so that it need not
/// share the lock, nor its CPU, with the supervisor.
const LOOK_EVERY: usize = 64;

impl Core {
    /// To be called for each new job.
    pub(super) fn look_now_and_then(&mut self) {
        if !self.roster.is_full {
            return;
        }
        self.roster.turned_away += 1;
        if self.roster.turned_away.is_multiple_of(LOOK_EVERY) {
            self.drain();
        }
    }

    /// Makes the roster anew.
    pub(super) fn survey(&mut self) {
        let mut idle = std::mem::take(&mut self.roster.sorted);
        let mut ahead = 0;
        self.roster.at_work.clear();
        for (slot, member) in self.members.iter_mut().enumerate() {
            let Some(process) = member.process.as_mut() else { continue };
            process.is_listed = process.is_idle();
            process.is_link_full = false;
            if process.is_listed {
                idle.push((process.last_used, slot));
            }
            if !process.in_flight.is_empty() && !process.is_stuck {
                self.roster.at_work.push(slot);
            }
            ahead += process.load().saturating_sub(1);
        }
        idle.sort_unstable();
        let roster = &mut self.roster;
        roster.idle.clear();
        roster.idle.extend(idle.drain(..).map(|(_, slot)| slot));
        roster.sorted = idle;
        (roster.ahead, roster.is_full) = (ahead, false);
        self.settle_lanes();
    }

    /// To be called after the jobs of a slot's process have changed: it had `before`.
    pub(super) fn note_change(&mut self, slot: usize, before: usize) {
        let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { return };
        process.is_link_full &= process.load() >= before;
        self.roster.account(slot, before, process.load());
        if process.is_idle() && !process.is_listed {
            process.is_listed = true;
            self.roster.idle.push(slot);
        }
    }

    /// Whether short jobs stay with those that are at work, though another one is idle.
    pub(super) fn stays(&self) -> bool {
        stays(self.mean, self.roster.busy(), self.cpus)
    }

    /// The slot for the next job, and how many it may get in a row: one at work, where jobs stay with those and one has room; else an
    /// idle one, the most recently used first, since its memory is warm; else one at work.
    // Called from two ways: the plain one is not to be longer for the other.
    #[inline(always)]
    pub(super) fn choose(&mut self) -> Option<(usize, usize)> {
        // Jobs that travel together count one by one here: nobody shall wait behind many of them while a worker is idle.
        if !self.roster.idle.is_empty()
            && self.stays()
            && let Some(chosen) = self.neighbour(Process::load)
        {
            return Some(chosen);
        }
        if let Some(slot) = self.choose_idle() {
            return Some((slot, 1));
        }
        let chosen = self.neighbour(|process| process.in_flight.len());
        self.roster.is_full = chosen.is_none();
        chosen
    }

    /// Of two neighbours among those at work that have room beside their `load` the one with more of it (Mitzenmacher, "The Power of
    /// Two Choices in Randomized Load Balancing", 2001; here they go round), and how many jobs it may get in a row.
    fn neighbour(&mut self, load: impl Fn(&Process) -> usize) -> Option<(usize, usize)> {
        if self.roster.is_full {
            return None;
        }
        let (at_work, limit) = (&self.roster.at_work, self.look_ahead() as usize);
        let room = |at: usize| {
            let slot = *at_work.get(at)?;
            let process = self.members.get(slot)?.process.as_ref()?;
            let may_take = usize::try_from(process.may_take()).unwrap_or(usize::MAX);
            let room = limit.saturating_sub(load(process)).min(may_take);
            (process.takes_jobs() && room > 0).then_some((room, at, slot))
        };
        let count = at_work.len();
        let mut neighbours = (0..count).map(|step| (self.roster.cursor + step) % count).filter_map(room);
        let (room, at, slot) = [neighbours.next(), neighbours.next()].into_iter().flatten().max()?;
        self.roster.cursor = at + 1;
        // As many as are its share, so that a long queue is dealt out in long runs.
        Some((slot, room.min(self.waiting.div_ceil(count).max(1))))
    }

    /// The idle slot for the next job, if there is one.
    #[inline(always)]
    pub(super) fn choose_idle(&mut self) -> Option<usize> {
        while let Some(slot) = self.roster.idle.pop() {
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            process.is_listed = false;
            if process.is_idle() && process.may_take() > 0 {
                return Some(slot);
            }
        }
        None
    }

    /// As [`choose_idle`](Self::choose_idle), also one that the roster does not know of: for a job that nobody else may have.
    pub(super) fn find_idle(&mut self) -> Option<usize> {
        let is_idle = |process: &Process| process.is_idle() && process.may_take() > 0 && !process.is_link_full;
        let unlisted = |core: &Self| core.members.iter().position(|member| member.process.as_ref().is_some_and(is_idle));
        self.choose_idle().or_else(|| unlisted(self))
    }

    /// How many jobs a process may have at once.
    fn look_ahead(&self) -> u32 {
        let most = look_ahead(self.mean);
        self.lanes.as_ref().map_or(most, |lanes| lanes.look_ahead(most, self.last_job))
    }

    /// How many more jobs the process in a slot can be given now.
    pub(super) fn room(&self, slot: usize) -> u64 {
        let process = self.members.get(slot).and_then(|member| member.process.as_ref());
        let is_stuck = |process: &Process| process.is_stuck && !process.in_flight.is_empty();
        let process =
            process.filter(|process| process.takes_jobs() && !process.is_gone && !process.is_link_full && !is_stuck(process));
        let room = |process: &Process| self.look_ahead().saturating_sub(process.link.in_flight());
        process.map_or(0, |process| process.may_take().min(room(process).into()))
    }

    /// A slot gets a job without being chosen: it is idle no more.
    pub(super) fn unlist(&mut self, slot: usize) {
        let process = self.members.get_mut(slot).and_then(|member| member.process.as_mut());
        if let Some(process) = process.filter(|process| process.is_listed) {
            process.is_listed = false;
            self.roster.idle.retain(|idle| *idle != slot);
        }
    }

    /// The worker that would get a job now, or else has least to do; another one may be faster in the end.
    pub(super) fn likely(&self) -> Option<Worker> {
        let process = |slot: &usize| self.members.get(*slot)?.process.as_ref();
        let idle = self.roster.idle.iter().rev().filter_map(process).find(|process| process.is_idle());
        let least = || self.processes().filter(|process| process.takes_jobs()).min_by_key(|process| process.link.in_flight());
        idle.or_else(least).map(|process| process.link.worker())
    }

    /// Notes that the link of a slot has something to publish.
    pub(super) fn note_unpublished(&mut self, slot: usize) {
        if self.roster.unpublished.last() != Some(&slot) {
            self.roster.unpublished.push(slot);
        }
    }

    pub(super) fn next_unpublished(&mut self) -> Option<usize> {
        self.roster.unpublished.pop()
    }
}

impl Process {
    /// How many jobs it has.
    pub(super) fn load(&self) -> usize {
        self.in_flight.len() + self.more
    }

    /// Whether it can take a job and has none.
    pub(super) fn is_idle(&self) -> bool {
        self.takes_jobs() && self.in_flight.is_empty()
    }
}
