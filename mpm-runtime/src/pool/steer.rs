//! Handing out where lanes have a say: what comes next, and to whom it goes.
//!
//! The order over all lanes and the plain queue is that of the turns: what comes first goes first, unless its limits are closed or its
//! own worker has no room; then it waits, and what comes next goes before it. Nothing else is overtaken.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;

use super::cell::{Cell, Place};
use super::core::Core;
use super::keys::Home;
use super::lanes::{Address, Lanes, Turn, turn};
use super::limit::Limit;
use super::member::{Process, Waiting};

impl Core {
    /// A job of higher priority than others has come, and nobody is idle: takes back what is in its way, from its own worker or from all.
    /// Short jobs are handed out ahead of time, and the longest of them may be long.
    pub(super) fn make_way(&mut self, cell: &Arc<Cell>, target: u32) {
        let own = cell.rules.as_deref().and_then(|rules| self.own_slot(rules));
        let slots = own.map_or(0..self.members.len(), |slot| slot..slot + 1);
        let process = |slot: usize| self.members.get(slot)?.process.as_ref();
        let is_closed = |lanes: &Lanes| lanes.is_paused || lanes.limit_of(target).is_some_and(|limit| !limit.is_open);
        if slots.clone().filter_map(process).any(Process::is_idle) || self.lanes.as_deref().is_none_or(is_closed) {
            return;
        }
        let mut all_back = Vec::new();
        for slot in slots {
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            let (all, unclaimed) = (process.link.in_flight(), process.link.unclaimed());
            let behind = process.in_flight.iter().rev().take_while(|job| job.cell.priority() < cell.priority());
            let behind = u32::try_from(behind.count()).unwrap_or(u32::MAX).min(unclaimed);
            if behind > 0 && process.takes_jobs() {
                let before = process.load();
                all_back.extend(process.take_back(all - behind));
                self.note_change(slot, before);
            }
        }
        if !all_back.is_empty() {
            all_back.sort_by_key(|job| turn(&job.cell));
            self.requeue(all_back);
            // Workers may have been asked to call at responses that will not come now.
            self.wake = true;
            let jobs = self.last_job;
            self.lanes_mut().be_shy(jobs);
        }
    }

    /// As [`hand_out`](Self::hand_out), in the order of the turns.
    #[inline(never)]
    pub(super) fn hand_out_by_rules(&mut self) {
        if self.is_paused() {
            return;
        }
        let now = Instant::now();
        self.lanes_mut().limits.iter_mut().for_each(|limit| limit.look(now));
        loop {
            let Some((turn, address)) = self.first() else {
                if self.roster.is_uneven() && self.steal() {
                    // What came back has left its place among its like.
                    self.lanes_mut().limits.iter_mut().for_each(|limit| limit.look(now));
                    continue;
                }
                break;
            };
            let job = match address {
                Some(address) => self.lanes_mut().pop(address),
                None => self.queue.pop_front(),
            };
            let Some(job) = job else { break };
            // Its key may have come to a worker meanwhile.
            if address.is_some() && self.address(&job) != address {
                self.put(job, false);
                continue;
            }
            let Some(slot) = self.slot_for(turn, address, &job.cell) else {
                self.put(job, false);
                break;
            };
            if !self.hand_over_by_rules(slot, job, now) && address.is_none_or(|address| address.slot.is_none()) {
                // Another one may have room.
                self.roster.set_full();
            }
        }
        self.note_alarm();
    }

    /// What comes first of all that can be handed out, and its lane, if it is in one.
    fn first(&mut self) -> Option<(Turn, Option<Address>)> {
        while self.queue.pop_front_if(|job| job.cell.place() == Place::Dead).is_some() {}
        let plain = self.queue.front().map(|job| ((Reverse(0), job.cell.id()), None));
        let lanes = self.lanes.as_ref()?;
        let others = lanes.iter().filter(|(address, _)| lanes.is_open(*address)).filter_map(|(address, lane)| {
            let (turn, job) = lane.jobs.first_key_value()?;
            let has_room = |slot| self.room(slot) > 0 && job.cell.pin().is_none_or(|pin| pin.is_for(self.host(slot)));
            address.slot.is_none_or(has_room).then_some((*turn, Some(address)))
        });
        others.chain(plain).min_by_key(|(turn, _)| *turn)
    }

    /// The slot for what comes next. `None`: it is the next all the same, and waits.
    fn slot_for(&mut self, (Reverse(priority), _): Turn, address: Option<Address>, cell: &Cell) -> Option<usize> {
        let Address { slot, target } = address.unwrap_or_default();
        if let Some(slot) = slot {
            self.unlist(slot);
            return Some(slot);
        }
        let has_key = cell.rules.as_ref().is_some_and(|rules| rules.key.is_some());
        if has_key && let Some(slot) = self.slot_for_key() {
            return Some(slot);
        }
        let lanes = self.lanes_mut();
        // Behind a long job it could be overtaken by those that go elsewhere.
        let is_urgent = priority != 0 && priority > lanes.lowest;
        if is_urgent || target.and_then(|target| lanes.limit_of(target)).is_some_and(Limit::is_timed) {
            return self.find_idle();
        }
        self.choose().map(|(slot, _)| slot)
    }

    /// An idle slot for the first job of a key, and so for those that come after it: the one with the fewest keys, lest keys that are used one
    /// after the other all come to one.
    fn slot_for_key(&mut self) -> Option<usize> {
        let keys = &self.lanes.as_ref()?.keys;
        let all = self.members.iter().enumerate().filter_map(|(slot, member)| Some((slot, member.process.as_ref()?)));
        let idle = all.filter(|(_, process)| process.is_idle() && process.may_take() > 0 && !process.is_link_full);
        let (slot, _) = idle.min_by_key(|(_, process)| (keys.at(process.incarnation), Reverse(process.last_used)))?;
        self.unlist(slot);
        Some(slot)
    }

    /// As [`hand_over`](Self::hand_over), and notes what the rules have to know of it.
    fn hand_over_by_rules(&mut self, slot: usize, job: Waiting, now: Instant) -> bool {
        let (cell, target) = (Arc::clone(&job.cell), job.target);
        self.waiting -= 1;
        self.freed = true;
        if !self.hand_over(slot, job) {
            return false;
        }
        // It may also have ended, or be back.
        if !matches!(cell.place(), Place::Member(..)) {
            return true;
        }
        let process = self.members.get(slot).and_then(|member| member.process.as_ref());
        let Some(incarnation) = process.map(|process| process.incarnation) else { return true };
        let lanes = self.lanes_mut();
        if let Some(limit) = lanes.limit_of_mut(target) {
            limit.enter(now, &cell);
        }
        if let Some(key) = cell.rules.as_ref().and_then(|rules| rules.key) {
            lanes.keys.put(key, Home { slot, incarnation });
        }
        true
    }

    /// How many of its jobs a process can give to another one, and how many requests it keeps if it gives half of these away.
    pub(super) fn spare_jobs(&self, process: &Process) -> (u32, u32) {
        let (all, unclaimed) = (process.link.in_flight(), process.link.unclaimed());
        if self.lanes.is_none() {
            return (unclaimed, all - unclaimed.div_ceil(2));
        }
        let newest = (0..all).rev().zip(process.in_flight.iter().rev()).take(usize::try_from(unclaimed).unwrap_or(usize::MAX));
        // What has come to the worker of its key stays there, even if the key is at home elsewhere by now.
        let is_free = |cell: &Cell| cell.rules.as_ref().is_none_or(|rules| rules.pin.is_none() && rules.key.is_none());
        let free: Vec<u32> = newest.filter(|(_, job)| is_free(&job.cell)).map(|(at, _)| at).collect();
        let half = free.len().div_ceil(2);
        (u32::try_from(free.len()).unwrap_or(u32::MAX), half.checked_sub(1).and_then(|last| free.get(last).copied()).unwrap_or(all))
    }

    /// Hands out nothing any more, and takes back what no worker has claimed.
    pub(super) fn pause(&mut self) {
        if self.ending.is_some() || self.ended || self.failed.is_some() || self.is_paused() {
            return;
        }
        self.lanes_mut().is_paused = true;
        let processes = self.members.iter_mut().filter_map(|member| member.process.as_mut());
        let mut back: Vec<_> = processes.flat_map(|process| process.take_back_unstarted(&mut self.jobs_ended)).collect();
        back.sort_by_key(|job| turn(&job.cell));
        self.requeue(back);
        self.survey();
        // Workers may have been asked to call at responses that will not come now.
        self.wake = true;
    }

    /// Ends a pause; the caller hands out.
    pub(super) fn resume(&mut self) {
        if let Some(lanes) = &mut self.lanes {
            lanes.is_paused = false;
        }
    }

    /// Has the supervisor wake in time for what only has to wait for its time.
    pub(super) fn note_alarm(&mut self) {
        let Some(lanes) = &mut self.lanes else { return };
        let due = lanes.next_due();
        if due.is_some_and(|due| lanes.alarm.is_none_or(|alarm| due < alarm)) {
            lanes.alarm = due;
            self.wake = true;
        }
    }

    /// The supervisor is awake, and will be again in time.
    pub(super) fn set_alarm(&mut self) {
        if let Some(lanes) = &mut self.lanes {
            lanes.alarm = lanes.next_due();
        }
    }
}
