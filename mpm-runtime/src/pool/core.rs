//! The pool's state, all of it behind one lock: queue, members, and how the pool ends.
//!
//! Methods here change the state and never block, call user code or finish a cell: outcomes are collected in `outcomes`
//! and finished after the lock is gone (`Shared::with_core`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::cell::{Cell, Facts, IN_QUEUE, Raw};
use super::member::{Fate, Member, Outcome, Process, Waiting};
use super::policy::worth_a_spin;
use crate::error::{Cancelled, JobError};
use crate::link::armed;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) members: Vec<Member>,
    /// In order; jobs that were cancelled here stay until they are met, finished already.
    pub(super) queue: VecDeque<Waiting>,
    /// Jobs in the queue that are not cancelled.
    pub(super) waiting: usize,
    pub(super) last_job: u64,
    /// Mean run time of jobs in nanoseconds.
    pub(super) mean: Option<u64>,
    /// Failed starts in a row, since a worker was last ready or answered a job.
    pub(super) failures: u32,
    /// Workers in a row that died soon after they were ready, without a job in between.
    pub(super) early_deaths: u32,
    /// Counts hand-overs, for "most recently used".
    pub(super) clock: u64,
    /// Why the pool has given up, if it has.
    pub(super) failed: Option<Arc<str>>,
    pub(super) ending: Option<Ending>,
    /// All processes are gone and the supervisor has ended.
    pub(super) ended: bool,
    pub(super) outcomes: Vec<Outcome>,
    /// The queue has got shorter since somebody was told.
    pub(super) freed: bool,
}

/// How the pool is ending. Each request to end can only hurry it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// When what still runs is killed.
    pub(super) kill_at: Option<Instant>,
}

impl Core {
    pub(super) fn new(workers: usize) -> Self {
        let slots = 0..u32::try_from(workers).unwrap_or(u32::MAX);
        Self {
            members: slots.map(|slot| Member { slot, process: None, not_before: None }).collect(),
            queue: VecDeque::new(),
            waiting: 0,
            last_job: 0,
            mean: None,
            failures: 0,
            early_deaths: 0,
            clock: 0,
            failed: None,
            ending: None,
            ended: false,
            outcomes: Vec::new(),
            freed: false,
        }
    }

    /// Puts a new job at the end of the queue.
    pub(super) fn enqueue(&mut self, target: u32, name: &'static str, payload: Vec<u8>) -> Arc<Cell> {
        self.last_job += 1;
        let cell = Arc::new(Cell::new(self.last_job, name));
        self.queue.push_back(Waiting { cell: Arc::clone(&cell), target, payload });
        self.waiting += 1;
        cell
    }

    /// Puts jobs that a member gave back unstarted at the front of the queue again, oldest first. In a pool that has failed
    /// they end: nobody will take them from its queue.
    pub(super) fn requeue(&mut self, jobs: Vec<Waiting>) {
        if let Some(reason) = self.failed.clone() {
            jobs.into_iter().for_each(|job| self.give_up(job.cell, JobError::PoolFailed(Arc::clone(&reason))));
            return;
        }
        self.waiting += jobs.len();
        for job in jobs.into_iter().rev() {
            job.cell.set_place(IN_QUEUE);
            self.queue.push_front(job);
        }
    }

    /// Whether no job waits or is with a member.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.processes().all(|p| p.in_flight.is_empty())
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.members.iter().filter_map(|m| m.process.as_ref())
    }

    pub(super) fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.members.iter_mut().filter_map(|m| m.process.as_mut())
    }

    /// Takes in the responses of all members; whether there were any.
    pub(super) fn drain(&mut self) -> bool {
        let (outcomes, mean) = (&mut self.outcomes, &mut self.mean);
        let before = outcomes.len();
        self.members.iter_mut().filter_map(|m| m.process.as_mut()).for_each(|p| p.drain(outcomes, mean));
        let any = self.outcomes.len() > before;
        if any {
            (self.failures, self.early_deaths) = (0, 0);
            self.retire_spent();
        }
        any
    }

    /// Tells workers to stop that can take no more jobs, and takes back what they have not claimed.
    fn retire_spent(&mut self) {
        let spent = self.members.iter_mut().filter_map(|m| m.process.as_mut()).filter(|p| p.spent && p.takes_jobs());
        let back: Vec<_> = spent
            .flat_map(|process| {
                let back = process.take_back(0);
                process.stop(None);
                back
            })
            .collect();
        self.requeue(back);
    }

    /// Whether empty slots are to be filled: a pool that has failed starts nothing; one that ends, only what its waiting
    /// jobs need.
    pub(super) fn wants_processes(&self) -> bool {
        self.failed.is_none() && (self.ending.is_none() || self.waiting > 0)
    }

    /// Asks all members to ring the doorbell at their next response. False, and nothing is to be waited for, when one
    /// has come meanwhile.
    pub(super) fn arm(&mut self) -> bool {
        self.processes().for_each(Process::arm);
        armed();
        !self.drain()
    }

    /// The supervisor is awake: nobody has to ring.
    pub(super) fn disarm(&mut self) {
        self.processes().for_each(|p| p.link.disarm());
    }

    /// Begins to look for the response to `cell` from the calling thread, if that is worth it: returns the slot.
    pub(super) fn begin_to_look(&mut self, cell: &Cell, cpus: usize) -> Option<usize> {
        let busy = self.processes().filter(|p| !p.in_flight.is_empty()).count();
        if !worth_a_spin(self.mean, busy, cpus) {
            return None;
        }
        let slot = usize::try_from(cell.place()).ok()?;
        let process = self.members.get_mut(slot)?.process.as_mut()?;
        process.lookers += 1;
        process.link.disarm();
        Some(slot)
    }

    /// Looks once, for a thread between `begin_to_look` and `end_looking`.
    pub(super) fn look(&mut self, slot: usize) {
        let before = self.outcomes.len();
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return };
        process.drain(&mut self.outcomes, &mut self.mean);
        if self.outcomes.len() > before {
            (self.failures, self.early_deaths) = (0, 0);
            self.retire_spent();
            self.dispatch();
        }
    }

    /// The last to look asks for the doorbell again, and looks once more after that.
    pub(super) fn end_looking(&mut self, slot: usize) {
        if let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) {
            // A new process in the slot has no lookers of before.
            process.lookers = process.lookers.saturating_sub(1);
            process.arm();
            armed();
        }
        self.look(slot);
    }

    /// Ends a waiting job without running it.
    pub(super) fn give_up(&mut self, cell: Arc<Cell>, error: JobError) {
        let facts = Facts { attempt: 1, ..Facts::default() };
        cell.set_place(DEAD);
        self.outcomes.push(Outcome { cell, raw: Raw::Failed(error), facts });
    }

    /// Takes a job back if no worker has claimed it.
    pub(super) fn cancel(&mut self, cell: &Arc<Cell>) -> bool {
        let error = cancelled(cell, "JobHandle::cancel took it back before it had started");
        if cell.place() == IN_QUEUE {
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
        }
        found
    }

    /// Lets go of what the queue keeps of `cell`: its payload now, the entry when it is met.
    fn drop_from_queue(&mut self, cell: &Arc<Cell>) {
        // Ids in the queue ascend, but for jobs that came back: try the ordered place first.
        let guess = self.queue.partition_point(|job| job.cell.id < cell.id);
        let here = |job: &Waiting| Arc::ptr_eq(&job.cell, cell);
        let index = if self.queue.get(guess).is_some_and(here) { Some(guess) } else { self.queue.iter().position(here) };
        if let Some(job) = index.and_then(|index| self.queue.get_mut(index)) {
            job.payload = Vec::new();
        }
    }

    /// Removes entries of cancelled jobs once they are most of the queue, so that it stays in proportion to what waits.
    fn forget_dead(&mut self) {
        if self.queue.len() > 2 * self.waiting + 64 {
            self.queue.retain(|job| job.cell.place() != DEAD);
        }
    }

    /// Takes `cell` and the jobs behind it back from the member that has it, as far as they are not claimed.
    fn take_back_from(&mut self, cell: &Arc<Cell>) -> Option<Vec<Waiting>> {
        let process = self.members.get_mut(usize::try_from(cell.place()).ok()?)?.process.as_mut()?;
        let position = process.in_flight.iter().position(|job| Arc::ptr_eq(&job.cell, cell))?;
        Some(process.take_back(u32::try_from(position).ok()?))
    }

    /// Cancels everything that no worker has claimed.
    pub(super) fn cancel_unstarted(&mut self, reason: &'static str) {
        let back: Vec<_> = self.processes_mut().flat_map(|p| p.take_back(0)).collect();
        self.requeue(back);
        self.empty_queue(|cell| cancelled(cell, reason));
    }

    /// The pool gives up: nothing waits any more, and nothing is accepted.
    pub(super) fn fail(&mut self, reason: &Arc<str>) {
        self.failed.get_or_insert_with(|| Arc::clone(reason));
        self.empty_queue(|_| JobError::PoolFailed(Arc::clone(reason)));
    }

    fn empty_queue(&mut self, error: impl Fn(&Cell) -> JobError) {
        self.freed = true;
        self.waiting = 0;
        for job in std::mem::take(&mut self.queue) {
            if job.cell.place() != DEAD {
                let error = error(&job.cell);
                self.give_up(job.cell, error);
            }
        }
    }

    /// Kills all processes because the pool ends.
    pub(super) fn kill_all(&mut self, reason: &'static str) {
        self.processes_mut().for_each(|p| p.kill(Fate::Ended(reason)));
    }
}

/// The place of a job that has its outcome: no one has it any more.
pub(super) const DEAD: u32 = IN_QUEUE - 1;

fn cancelled(cell: &Cell, reason: &'static str) -> JobError {
    JobError::Cancelled(Cancelled { job: cell.id, target: cell.target, reason })
}
