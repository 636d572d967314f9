//! Where a job waits: in the plain queue or in which lane, when it comes, when it comes back, and when its worker is gone.

use std::sync::Arc;

use super::cell::Cell;
use super::core::Core;
use super::keys::Home;
use super::lanes::{Address, Lanes};
use super::member::Waiting;
use super::queue::cancelled;
use super::rules::Rules;

/// Turns are counted up to this, and from 0 again: a multiple of the numbers of workers that are usual.
const TURNS: usize = 1 << 20;

impl Core {
    /// The lanes, made if there are none.
    pub(super) fn lanes_mut(&mut self) -> &mut Lanes {
        self.lanes.get_or_insert_default()
    }

    /// Whether something is to be handed out, or held back, by rules.
    pub(super) fn is_steered(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| !lanes.is_calm())
    }

    /// Whether jobs wait that a worker may have now, as far as that is known without a look at limits.
    pub(super) fn has_jobs_for_workers(&self) -> bool {
        let has_lanes = self.lanes.as_ref().is_some_and(|lanes| lanes.iter().next().is_some());
        !self.is_paused() && (!self.queue.is_empty() || has_lanes)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.is_paused)
    }

    /// The incarnation of the process that takes jobs in a slot; 0 for none. One that is gone counts until it is known how it ended: then what
    /// it had comes back, and goes before what waits for it.
    pub(super) fn host(&self, slot: usize) -> u64 {
        let process = self.members.get(slot).and_then(|member| member.process.as_ref());
        let host = process.filter(|process| process.takes_jobs() && process.may_take() > 0);
        host.map_or(0, |process| process.incarnation)
    }

    /// Whether there is, or will be, a worker in a slot.
    fn has_place(&self, slot: usize) -> bool {
        self.members.get(slot).is_some_and(|member| member.is_open || member.process.is_some())
    }

    /// The slot whose worker alone is to run a job.
    pub(super) fn own_slot(&self, rules: &Rules) -> Option<usize> {
        let Some(pin) = &rules.pin else { return Some(self.home(rules)?.slot) };
        let turn = pin.slot()?;
        if pin.is_personal() { Some(turn) } else { self.place_in_turn(turn) }
    }

    /// Where the key of a job is at home: also with a worker that takes no jobs any more, while that has one of this key.
    fn home(&self, rules: &Rules) -> Option<Home> {
        let key = rules.key.filter(|_| rules.pin.is_none())?;
        let home = self.lanes.as_ref()?.keys.get(key)?;
        let has_one = || {
            let process = self.members.get(home.slot).and_then(|member| member.process.as_ref());
            let process = process.filter(|process| process.incarnation == home.incarnation);
            let is_of_key = |cell: &Cell| cell.rules.as_ref().is_some_and(|rules| rules.key == Some(key));
            process.is_some_and(|process| process.in_flight.iter().any(|job| is_of_key(&job.cell)))
        };
        (self.host(home.slot) == home.incarnation || has_one()).then_some(home)
    }

    /// The slot whose turn it is.
    fn place_in_turn(&self, turn: usize) -> Option<usize> {
        let mut open = self.members.iter().enumerate().filter(|(_, member)| member.is_open).map(|(slot, _)| slot);
        let count = open.clone().count();
        open.nth(turn.checked_rem(count)?)
    }

    /// The lane of a job; `None` for the plain queue.
    pub(super) fn address(&self, job: &Waiting) -> Option<Address> {
        let (lanes, rules) = (self.lanes.as_ref()?, job.cell.rules.as_deref());
        let target = lanes.limit_of(job.target).map(|limit| limit.target);
        if target.is_none() && rules.is_none_or(Rules::is_plain) {
            return None;
        }
        Some(Address { slot: rules.and_then(|rules| self.own_slot(rules)), target })
    }

    /// Puts a waiting job where it belongs; `is_new` if it comes after all others of its priority.
    pub(super) fn put(&mut self, job: Waiting, is_new: bool) {
        let Some(address) = self.address(&job) else {
            if is_new {
                self.queue.push_back(job)
            } else {
                self.queue.push_front(job)
            }
            return;
        };
        let home = job.cell.rules.as_deref().and_then(|rules| self.home(rules));
        let host = home.map_or_else(|| address.slot.map_or(0, |slot| self.host(slot)), |home| home.incarnation);
        if let Some(pin) = job.cell.pin() {
            pin.meet(host);
        }
        self.lanes_mut().insert(address, job, host);
    }

    /// As [`enqueue`](Self::enqueue), for a job that may have rules, or where there are lanes. It counts already.
    #[inline(never)]
    pub(super) fn enqueue_by_rules(&mut self, job: Waiting) {
        let is_plain = job.cell.rules.as_deref().is_none_or(Rules::is_plain);
        if self.lanes.is_none() && is_plain {
            return self.queue.push_back(job);
        }
        let lanes = self.lanes_mut();
        if let Some(pin) = job.cell.pin().filter(|pin| pin.slot().is_none()) {
            pin.set_slot(lanes.turns);
            lanes.turns = (lanes.turns + 1) % TURNS;
        }
        let (cell, target) = (Arc::clone(&job.cell), job.target);
        let is_above = cell.priority() > lanes.lowest;
        lanes.lowest = lanes.lowest.min(cell.priority());
        self.put(job, true);
        if is_above {
            self.make_way(&cell, target);
        }
    }

    /// Puts back a job that did not start; whether it had come to a worker.
    pub(super) fn put_back(&mut self, job: Waiting, had_come: bool) {
        if had_come && let Some(limit) = self.lanes.as_mut().and_then(|lanes| lanes.limit_of_mut(job.target)) {
            limit.leave(&job.cell);
        }
        self.put(job, false);
    }

    /// To be called when processes have come or gone: jobs whose own worker takes jobs no more find another one, or end where they are for
    /// that one alone.
    pub(super) fn settle_lanes(&mut self) {
        let Some(lanes) = self.lanes.as_ref().filter(|lanes| !lanes.is_calm()) else { return };
        let has_changed = |slot: usize, host: u64| self.host(slot) != host || !self.has_place(slot);
        let changed = |(address, host): &(Address, u64)| address.slot.is_some_and(|slot| has_changed(slot, *host));
        let changed: Vec<_> = lanes.iter().map(|(address, lane)| (address, lane.host)).filter(changed).collect();
        for (address, _) in changed {
            let slot = address.slot.unwrap_or_default();
            let (host, is_there) = (self.host(slot), self.has_place(slot));
            for job in self.lanes_mut().empty(address) {
                if job.cell.pin().is_none_or(|pin| !pin.is_personal() || (is_there && pin.is_for(host))) {
                    self.put(job, false);
                    continue;
                }
                self.waiting -= 1;
                self.freed = true;
                let error = cancelled(&job.cell, "the worker that it was for ended before it had started");
                self.give_up(job.cell, error);
            }
        }
    }
}
