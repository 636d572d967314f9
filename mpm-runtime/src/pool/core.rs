//! The pool's state, all of it behind one lock: queue, members, and how the pool ends.
//!
//! Methods here change the state and never block or call user code: those who are to be told of a job's end are collected in
//! `jobs_ended` and told after the lock is gone (`Shared::with_core`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ended::Ended;
use super::lanes::Lanes;
use super::member::{Fate, Member, Process, State, Waiting};
use super::roster::Roster;
use super::settings::Settings;
use crate::error::EndReason;
use crate::link::{Patience, Shelf};
use crate::start::StartMethod;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) members: Vec<Member>,
    /// Processes that have left their place, and only have to end.
    pub(super) leaving: Vec<Process>,
    /// How many jobs a process may have; 0 for no limit.
    pub(super) max_jobs: u64,
    /// How long a process may take to end.
    grace: Duration,
    /// How processes are started.
    pub(super) method: StartMethod,
    /// The supervisor has something to do.
    pub(super) wake: bool,
    /// In order; jobs that were cancelled here stay until they are met, finished already.
    pub(super) queue: VecDeque<Waiting>,
    /// Where jobs wait for which rules hold; not there before one came.
    pub(super) lanes: Option<Box<Lanes>>,
    /// Jobs in the queue and in the lanes that are not cancelled.
    pub(super) waiting: usize,
    pub(super) last_job: u64,
    /// Mean run time of jobs in nanoseconds.
    pub(super) mean: Option<u64>,
    /// Failed starts in a row, since a worker was last ready or answered a job.
    pub(super) failures: u32,
    /// Workers in a row that died soon after they were ready, without a job in between.
    pub(super) early_deaths: u32,
    pub(super) roster: Roster,
    /// Of the threads that wait for a response.
    pub(super) patience: Patience,
    /// Counts hand-overs, for "most recently used".
    pub(super) clock: u64,
    /// Why the pool has given up, if it has.
    pub(super) failed: Option<Arc<str>>,
    pub(super) ending: Option<Ending>,
    /// All processes are gone and the supervisor has ended.
    pub(super) ended: bool,
    /// The jobs that have ended since somebody was told.
    pub(super) jobs_ended: Ended,
    /// The queue has got shorter since somebody was told.
    pub(super) freed: bool,
    /// How many threads wait for room in the queue.
    pub(super) blocked: usize,
    pub(super) shelf: Arc<Shelf>,
}

/// How the pool is ending. Each request to end can only hurry it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// When what still runs is killed.
    pub(super) kill_at: Option<Instant>,
}

/// Processes with one job each that are started ahead for a slot, where more jobs wait than processes: a start takes longer than a short
/// job, and consists of waiting for the most part.
const AHEAD: usize = 3;

impl Core {
    pub(super) fn new(settings: &Settings, shelf: Arc<Shelf>) -> Self {
        let slots = 0..u32::try_from(settings.workers).unwrap_or(u32::MAX);
        Self {
            members: slots.map(|slot| Member { slot, process: None, next: VecDeque::new(), not_before: None }).collect(),
            leaving: Vec::new(),
            max_jobs: settings.max_jobs,
            grace: settings.grace,
            method: settings.method,
            wake: false,
            queue: VecDeque::new(),
            lanes: Lanes::of(settings),
            waiting: 0,
            last_job: 0,
            mean: None,
            failures: 0,
            early_deaths: 0,
            roster: Roster::default(),
            patience: Patience::default(),
            clock: 0,
            failed: None,
            ending: None,
            ended: false,
            jobs_ended: Ended::default(),
            freed: false,
            blocked: 0,
            shelf,
        }
    }

    /// Whether no job waits or is with a member.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.processes().all(|p| p.in_flight.is_empty())
    }

    /// The processes that have jobs or may get some now.
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.members.iter().filter_map(|m| m.process.as_ref())
    }

    pub(super) fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.members.iter_mut().filter_map(|m| m.process.as_mut())
    }

    /// All processes: successors and those that are leaving too.
    pub(super) fn all_processes(&self) -> impl Iterator<Item = &Process> {
        self.members.iter().flat_map(|m| m.process.iter().chain(&m.next)).chain(&self.leaving)
    }

    pub(super) fn all_processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.members.iter_mut().flat_map(|m| m.process.iter_mut().chain(&mut m.next)).chain(&mut self.leaving)
    }

    pub(super) fn find_mut(&mut self, incarnation: u64) -> Option<&mut Process> {
        self.all_processes_mut().find(|process| process.incarnation == incarnation)
    }

    /// Takes a process out of its place, which its successor gets if there is one. The slot, unless it was leaving.
    pub(super) fn remove(&mut self, incarnation: u64) -> Option<(Option<usize>, Process)> {
        let is_it = |process: &mut Process| process.incarnation == incarnation;
        for (slot, member) in self.members.iter_mut().enumerate() {
            if let Some(process) = member.process.take_if(is_it) {
                member.process = member.next.pop_front();
                return Some((Some(slot), process));
            }
            if let Some(process) = member.next.iter_mut().position(is_it).and_then(|at| member.next.remove(at)) {
                return Some((Some(slot), process));
            }
        }
        let at = self.leaving.iter().position(|process| process.incarnation == incarnation)?;
        Some((None, self.leaving.swap_remove(at)))
    }

    /// Takes in the responses of all members; whether there were any.
    pub(super) fn drain(&mut self) -> bool {
        (0..self.members.len()).filter(|slot| self.drain_slot(*slot)).count() > 0
    }

    /// Takes in the responses of one member; whether there were any.
    pub(super) fn drain_slot(&mut self, slot: usize) -> bool {
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return false };
        let before = process.load();
        if before == 0 {
            return false;
        }
        process.drain(&mut self.jobs_ended, &mut self.mean);
        if process.load() == before {
            return false;
        }
        (self.failures, self.early_deaths) = (0, 0);
        self.retire(slot);
        self.note_change(slot, before);
        true
    }

    /// Lets a worker go that has had all its jobs. Tells one to stop that can take no more for another reason, and takes back
    /// what it has not claimed.
    fn retire(&mut self, slot: usize) {
        let Some(member) = self.members.get_mut(slot) else { return };
        let Some(process) = &mut member.process else { return };
        if process.in_flight.is_empty() && process.may_take(self.max_jobs) == 0 {
            // It ends by itself. Its successor takes its place.
            process.stop(Instant::now().checked_add(self.grace), EndReason::JobLimit);
            let successor = member.next.pop_front();
            self.leaving.extend(std::mem::replace(&mut member.process, successor));
            self.wake = true;
        } else if process.spent && process.takes_jobs() {
            let back = process.take_back_unstarted(&mut self.jobs_ended);
            process.stop(None, EndReason::Unready);
            self.requeue(back);
        }
    }

    /// Whether a member's process has no successor and needs one: it has been given its last job, or has died; or it starts still and
    /// there is more to do than its only job.
    pub(super) fn wants_successor(&self, member: &Member) -> bool {
        let Some(process) = &member.process else { return false };
        let runs_behind = || self.max_jobs == 1 && member.next.len() < AHEAD && self.runs_behind();
        match process.state {
            _ if process.is_missed() => member.next.is_empty(),
            State::Ready { .. } if process.takes_jobs() && process.may_take(self.max_jobs) == 0 => {
                member.next.is_empty() || runs_behind()
            }
            State::Starting { .. } if process.is_promising() => runs_behind(),
            _ => false,
        }
    }

    /// Whether more jobs wait than there are processes that will take one each, in a pool whose starts go well.
    fn runs_behind(&self) -> bool {
        let to_come = self.all_processes().filter(|p| p.is_promising() && p.may_take(self.max_jobs) > 0).count();
        self.failures == 0 && self.mean.is_some() && self.waiting > to_come
    }

    /// Whether empty slots are to be filled: a pool that has failed starts nothing; one that ends, only what its waiting
    /// jobs need.
    pub(super) fn wants_processes(&self) -> bool {
        self.failed.is_none() && (self.ending.is_none() || self.waiting > 0)
    }

    /// Kills all processes because the pool ends.
    pub(super) fn kill_all(&mut self, reason: &'static str) {
        self.all_processes_mut().for_each(|p| p.kill(Fate::Ended(reason)));
    }
}
