//! The queue of a pool: what enters, what comes back from a worker, what is taken back or given up.

use std::sync::Arc;
use std::time::Instant;

use super::cell::{Cell, Facts, Place, Raw};
use super::core::Core;
use super::events::EventKind;
use super::member::Waiting;
use crate::error::{Cancelled, JobError};
use crate::link::Payload;

/// Places that an empty queue keeps: about twice what it holds by default, so that it takes no memory for the next jobs.
const KEPT: usize = 2048;

impl Core {
    /// To be called when the queue is empty: gives back the memory of a long one.
    pub(super) fn shrink_queue(&mut self) {
        if self.queue.capacity() > KEPT {
            self.queue.shrink_to(KEPT);
        }
    }

    /// Puts a new job into the queue: at the end of it, unless rules say where.
    pub(super) fn enqueue(&mut self, cell: Arc<Cell>, target: u32, payload: Payload) {
        cell.set_id(self.last_job + 1);
        self.last_job += 1 + cell.more() as u64;
        if let Some(time) = cell.rules.as_ref().and_then(|rules| rules.expires)
            && let Some(at) = cell.submitted.checked_add(time)
        {
            self.expire_at(at, &cell);
        }
        self.waiting += 1;
        let job = Waiting { cell, target, payload };
        if self.lanes.is_some() || job.cell.rules.is_some() {
            return self.enqueue_by_rules(job);
        }
        self.queue.push_back(job);
    }

    /// Puts jobs that a member gave back unstarted at the front of the queue again, oldest first, or where rules say. In a pool that has
    /// failed they end: nobody will take them from its queue.
    pub(super) fn requeue(&mut self, jobs: Vec<Waiting>) {
        if let Some(reason) = self.failed.clone() {
            jobs.into_iter().for_each(|job| self.give_up(job.cell, JobError::PoolFailed(Arc::clone(&reason))));
            return;
        }
        self.waiting += jobs.len();
        for job in jobs.into_iter().rev() {
            let had_come = matches!(job.cell.place(), Place::Member(..));
            job.cell.set_place(Place::Queue);
            match self.lanes {
                None => self.queue.push_front(job),
                Some(_) => self.put_back(job, had_come),
            }
        }
    }

    /// Ends a waiting job without running it: what was tried of it before is all.
    pub(super) fn give_up(&mut self, cell: Arc<Cell>, error: JobError) {
        if let Some(retrying) = cell.retrying() {
            retrying.uncount();
        }
        self.end_unanswered(cell, error);
    }

    /// Ends a job of which nobody will say how it went.
    pub(super) fn end_unanswered(&mut self, cell: Arc<Cell>, error: JobError) {
        if let Some(lanes) = self.lanes.as_mut().filter(|_| matches!(cell.place(), Place::Member(..))) {
            lanes.limits.iter_mut().filter(|limit| limit.is_of(&cell)).for_each(|limit| limit.leave(&cell));
        }
        cell.set_place(Place::Dead);
        let facts = Facts { ended: Some(Instant::now()), ..Facts::default() };
        self.jobs_ended.end(cell, Raw::Failed(error), facts);
    }

    /// Takes a job back if no worker has claimed it.
    pub(super) fn cancel(&mut self, cell: &Arc<Cell>) -> bool {
        self.withdraw(cell, cancelled(cell, "JobHandle::cancel took it back before it had started"))
    }

    /// As [`cancel`](Self::cancel), where the job is to end in any case.
    pub(super) fn withdraw_for_abort(&mut self, cell: &Arc<Cell>) -> bool {
        self.withdraw(cell, cancelled(cell, "JobHandle::abort took it back before it had started"))
    }

    /// Takes a job back if no worker has claimed it, and ends it with this error.
    pub(super) fn withdraw(&mut self, cell: &Arc<Cell>, error: JobError) -> bool {
        if cell.place() == Place::Queue {
            self.waiting -= 1;
            self.freed = true;
            self.drop_from_queue(cell);
            self.give_up(Arc::clone(cell), error);
            self.forget_dead();
            return true;
        }
        let Some(taken) = self.take_back_from(cell) else { return false };
        let (hit, others): (Vec<_>, Vec<_>) = taken.into_iter().partition(|job| Arc::ptr_eq(&job.cell, cell));
        self.requeue(others);
        let found = !hit.is_empty();
        if found {
            self.give_up(Arc::clone(cell), error);
        } else if let Some(rest) = self.take_back_rest_of(cell) {
            self.give_up(rest, error);
        }
        found
    }

    /// Lets go of what the queue keeps of `cell`: its payload now, the entry when it is met.
    fn drop_from_queue(&mut self, cell: &Arc<Cell>) {
        if self.lanes.as_mut().is_some_and(|lanes| lanes.remove(cell).is_some()) {
            return;
        }
        // Ids in the queue ascend, but for jobs that came back: try the ordered place first.
        let guess = self.queue.partition_point(|job| job.cell.id() < cell.id());
        let here = |job: &Waiting| Arc::ptr_eq(&job.cell, cell);
        let index = if self.queue.get(guess).is_some_and(here) { Some(guess) } else { self.queue.iter().position(here) };
        if let Some(job) = index.and_then(|index| self.queue.get_mut(index)) {
            job.payload = Payload::default();
        }
    }

    /// Removes entries of cancelled jobs once they are most of the queue, so that it stays in proportion to what waits.
    fn forget_dead(&mut self) {
        if self.queue.len() > 2 * self.waiting + 64 {
            self.queue.retain(|job| job.cell.place() != Place::Dead);
        }
    }

    /// Takes `cell` and the jobs behind it back from the member that has it, as far as they are not claimed.
    fn take_back_from(&mut self, cell: &Arc<Cell>) -> Option<Vec<Waiting>> {
        let Place::Member(slot, number) = cell.place() else { return None };
        let slot = usize::try_from(slot).ok()?;
        let process = self.members.get_mut(slot)?.process.as_mut()?;
        let before = process.load();
        let position = number.wrapping_sub(process.link.oldest());
        // A job that has ended has the place where it was last, which others may have now.
        process.in_flight.get(usize::try_from(position).ok()?).filter(|job| Arc::ptr_eq(&job.cell, cell))?;
        let taken = process.take_back(position);
        // The worker may have been asked to call at a response that will not come now.
        self.wake |= !taken.is_empty();
        self.note_change(slot, before);
        Some(taken)
    }

    /// Takes back all jobs with this tag that no worker has claimed; how many.
    pub(super) fn cancel_tagged(&mut self, tag: &str) -> usize {
        let has_tag = |cell: &Cell| cell.tag().is_some_and(|its| **its == *tag);
        let mut hit = Vec::new();
        for slot in 0..self.members.len() {
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            let Some(first) = process.in_flight.iter().position(|job| has_tag(&job.cell)) else { continue };
            let before = process.load();
            let taken = process.take_back(u32::try_from(first).unwrap_or(u32::MAX));
            // The worker may have been asked to call at a response that will not come now.
            self.wake |= !taken.is_empty();
            self.note_change(slot, before);
            let (tagged, others) = taken.into_iter().partition::<Vec<_>, _>(|job| has_tag(&job.cell));
            hit.extend(tagged.into_iter().map(|job| job.cell));
            self.requeue(others);
        }
        let from_links = hit.len();
        self.queue.retain(|job| {
            let is_hit = job.cell.place() == Place::Queue && has_tag(&job.cell);
            hit.extend(is_hit.then(|| Arc::clone(&job.cell)));
            !is_hit
        });
        let from_lanes = self.lanes.as_mut().map_or_else(Vec::new, |lanes| lanes.extract(has_tag));
        hit.extend(from_lanes.into_iter().map(|job| job.cell));
        // Those that wait for their next try stay until they are met, finished already.
        let later = self.later.iter().map(|job| &job.cell).filter(|cell| cell.place() == Place::Queue && has_tag(cell));
        hit.extend(later.cloned());
        let count = hit.len();
        self.waiting -= count - from_links;
        self.freed |= count > 0;
        for cell in hit {
            let error = cancelled(&cell, "Pool::cancel_tagged took it back before it had started");
            self.give_up(cell, error);
        }
        count
    }

    /// Cancels everything that no worker has claimed.
    pub(super) fn cancel_unstarted(&mut self, reason: &'static str) {
        let processes = self.members.iter_mut().filter_map(|member| member.process.as_mut());
        let back: Vec<_> = processes.flat_map(|process| process.take_back_unstarted(&mut self.jobs_ended)).collect();
        self.requeue(back);
        self.survey();
        self.empty_queue(|cell| cancelled(cell, reason));
    }

    /// The pool gives up: nothing waits any more, and nothing is accepted.
    pub(super) fn fail(&mut self, reason: &Arc<str>) {
        if self.failed.is_none() {
            self.failed = Some(Arc::clone(reason));
            self.tell_who_waits_for_ends();
            self.emit(|| EventKind::PoolFailed { reason: Arc::clone(reason) });
        }
        self.empty_queue(|_| JobError::PoolFailed(Arc::clone(reason)));
    }

    fn empty_queue(&mut self, error: impl Fn(&Cell) -> JobError) {
        self.freed = true;
        self.waiting = 0;
        let later = self.later.take_all();
        let lanes = self.lanes.as_mut().map_or_else(Vec::new, |lanes| lanes.extract(|_| true));
        for job in std::mem::take(&mut self.queue).into_iter().chain(lanes).chain(later) {
            if job.cell.place() != Place::Dead {
                let error = error(&job.cell);
                self.give_up(job.cell, error);
            }
        }
    }
}

/// The error of a job that was taken back.
pub(super) fn cancelled(cell: &Cell, reason: &'static str) -> JobError {
    JobError::Cancelled(Cancelled { job: cell.id(), target: cell.target, reason })
}
