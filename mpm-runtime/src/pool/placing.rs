//! Where a job waits: in the plain queue or in which lane, when it comes, when it comes back, and when its worker is gone.

use std::sync::Arc;
use std::time::Instant;

use super::cell::Place;
use super::core::Core;
use super::lanes::{Address, Lanes};
use super::member::Waiting;
use super::queue::cancelled;
use super::rules::Rules;

impl Core {
    /// The lanes, made if there are none.
    pub(super) fn lanes_mut(&mut self) -> &mut Lanes {
        self.lanes.get_or_insert_default()
    }

    /// Whether something is to be handed out, or held back, by rules.
    pub(super) fn is_steered(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| !lanes.is_calm())
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.is_paused)
    }

    /// The incarnation of the process that takes jobs in a slot; 0 for none. One that is gone counts until it is known how it ended: then what
    /// it had comes back, and goes before what waits for it.
    pub(super) fn host(&self, slot: usize) -> u64 {
        let process = self.members.get(slot).and_then(|member| member.process.as_ref());
        let host = process.filter(|process| process.takes_jobs() && process.may_take(self.max_jobs) > 0);
        host.map_or(0, |process| process.incarnation)
    }

    /// The slot whose worker alone is to run a job.
    pub(super) fn own_slot(&self, rules: &Rules) -> Option<usize> {
        if let Some(pin) = &rules.pin {
            let slot = pin.slot()?;
            return Some(if pin.is_personal() { slot } else { slot % self.members.len().max(1) });
        }
        let home = self.lanes.as_ref()?.keys.get(rules.key?)?;
        (self.host(home.slot) == home.incarnation).then_some(home.slot)
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
        let host = address.slot.map_or(0, |slot| self.host(slot));
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
        let count = self.members.len();
        let lanes = self.lanes_mut();
        if let Some(pin) = job.cell.pin().filter(|pin| pin.slot().is_none()) {
            pin.set_slot(lanes.turns % count);
            lanes.turns += 1;
        }
        let (cell, target) = (Arc::clone(&job.cell), job.target);
        let is_above = cell.priority() > lanes.lowest;
        lanes.lowest = lanes.lowest.min(cell.priority());
        self.put(job, true);
        if is_above {
            self.make_way(&cell, target);
        }
    }

    /// Puts back a job that had come to a worker and did not start there.
    pub(super) fn put_back(&mut self, job: Waiting) {
        if let Some(limit) = self.lanes.as_mut().and_then(|lanes| lanes.limit_of_mut(job.target)) {
            limit.leave(&job.cell);
        }
        self.put(job, false);
    }

    /// Puts a job off until that time: one that no worker has any more, and that has run.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a job that is tried again some time after its worker died"))]
    pub(super) fn put_off(&mut self, job: Waiting, until: Instant) {
        job.cell.set_place(Place::Queue);
        self.waiting += 1;
        let lanes = self.lanes_mut();
        if let Some(limit) = lanes.limit_of_mut(job.target) {
            limit.release(&job.cell);
        }
        lanes.delay(job, until);
        self.note_alarm();
    }

    /// To be called when processes have come or gone: jobs whose own worker takes jobs no more find another one, or end where they are for
    /// that one alone.
    pub(super) fn settle_lanes(&mut self) {
        let Some(lanes) = self.lanes.as_ref().filter(|lanes| !lanes.is_calm()) else { return };
        let has_changed = |slot: usize, host: u64| self.host(slot) != host || slot >= self.members.len();
        let changed = |(address, host): &(Address, u64)| address.slot.is_some_and(|slot| has_changed(slot, *host));
        let changed: Vec<_> = lanes.iter().map(|(address, lane)| (address, lane.host)).filter(changed).collect();
        for (address, _) in changed {
            let slot = address.slot.unwrap_or_default();
            let (host, is_there) = (self.host(slot), slot < self.members.len());
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
