//! The pool's state, all of it behind one lock: queue, members, and how the pool ends.
//!
//! Methods here change the state and never block or call user code: those who are to be told of a job's end are collected in
//! `jobs_ended` and told after the lock is gone (`Shared::with_core`).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::again::Judged;
use super::callbacks::Callbacks;
use super::calls::Calls;
use super::cell::Cell;
use super::ended::Ended;
use super::events::EventKind;
use super::lanes::Lanes;
use super::later::Later;
use super::limits::Limits;
use super::member::{Fate, Member, Process, State, Waiting};
use super::resize::Pressure;
use super::roster::Roster;
use super::settings::Settings;
use super::size::Size;
use super::stuck::Look;
use super::watch::Watch;
use crate::link::{Patience, Shelf};
use crate::start::StartMethod;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) members: Vec<Member>,
    /// Processes that have left their place, and only have to end.
    pub(super) leaving: Vec<Process>,
    /// How many CPUs there are for the workers.
    pub(super) cpus: usize,
    /// What workers may become.
    pub(super) limits: Limits,
    /// How many there are at least and at most.
    pub(super) size: Size,
    /// There are fewer than there may be.
    pub(super) may_grow: bool,
    pub(super) pressure: Option<Pressure>,
    /// Some worker may have to be replaced, now or some time.
    pub(super) is_recycling: bool,
    /// There is a new limit of memory, which some without a job may exceed already.
    pub(super) weighs: bool,
    /// Processes of incarnations before this one are to be replaced.
    pub(super) restart_before: u64,
    /// How many threads wait for the ends of these.
    pub(super) restart_waiters: usize,
    /// One of these has ended since somebody was told, or the pool is about to.
    pub(super) has_restarted: bool,
    pub(super) watch: Watch,
    /// When workers ended that were of no use, as far as that counts.
    pub(super) useless: VecDeque<Instant>,
    /// How long a process may take to end.
    pub(super) grace: Duration,
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
    pub(super) look: Look,
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
    /// Jobs that are to be tried again. They count as ones that wait.
    pub(super) later: Later<Waiting>,
    /// Jobs that expire.
    pub(super) expiries: Later<Weak<Cell>>,
    /// Where results are judged, and how many jobs are thus in nobody's hands.
    pub(super) judges: Arc<Calls<Judged>>,
    pub(super) judging: usize,
    /// When the supervisor will look again by itself.
    pub(super) wakes_at: Option<Instant>,
    pub(super) callbacks: Arc<Callbacks>,
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
    pub(super) fn new(settings: &Settings, shelf: Arc<Shelf>, callbacks: Arc<Callbacks>) -> Self {
        let slots = 0..u32::try_from(settings.size.least).unwrap_or(u32::MAX);
        Self {
            members: slots.map(Member::new).collect(),
            leaving: Vec::new(),
            cpus: settings.cpus,
            limits: settings.limits.clone(),
            size: settings.size,
            may_grow: settings.size.is_range(),
            pressure: None,
            is_recycling: true,
            weighs: false,
            restart_before: 0,
            restart_waiters: 0,
            has_restarted: false,
            watch: Watch::default(),
            useless: VecDeque::new(),
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
            look: Look::default(),
            patience: Patience::default(),
            clock: 0,
            failed: None,
            ending: None,
            ended: false,
            jobs_ended: Ended::new(Arc::clone(&callbacks)),
            freed: false,
            blocked: 0,
            shelf,
            later: Later::default(),
            expiries: Later::default(),
            judges: Arc::default(),
            judging: 0,
            wakes_at: None,
            callbacks,
        }
    }

    /// Tells whoever listens to the pool of what has happened, in the order of these calls. Costs nothing where nobody does.
    pub(super) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.callbacks.emit(kind);
    }

    /// Whether no job waits or is with a member.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.judging == 0 && self.processes().all(|p| p.in_flight.is_empty())
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
        process.is_stuck = false;
        let is_settled = process.is_settled();
        debug_assert!(!is_settled || !process.is_through());
        self.take_up_again();
        (self.failures, self.early_deaths) = (0, 0);
        if !is_settled {
            self.retire(slot);
        }
        self.note_change(slot, before);
        true
    }

    /// Whether a process is to be started for a member: for its place, or as the successor of the one that has it.
    pub(super) fn wants_start(&self, member: &Member) -> bool {
        member.is_open && (member.process.is_none() || self.wants_successor(member))
    }

    /// Whether a member's process has no successor and needs one: it has been given its last job, is to be replaced, or has died; or it
    /// starts still and there is more to do than its only job.
    pub(super) fn wants_successor(&self, member: &Member) -> bool {
        let Some(process) = member.process.as_ref().filter(|_| member.is_open) else { return false };
        let runs_behind = || self.limits.max_jobs == Some(1) && member.next.len() < AHEAD && self.runs_behind();
        match process.state {
            _ if process.is_missed() => member.next.is_empty(),
            State::Ready { .. } if process.takes_jobs() && process.may_take() == 0 => member.next.is_empty() || runs_behind(),
            State::Ready { .. } => process.replace.is_some() && process.takes_jobs() && member.next.is_empty(),
            State::Finishing { .. } => member.next.is_empty(),
            State::Starting { .. } if process.is_promising() => runs_behind(),
            _ => false,
        }
    }

    /// Whether more jobs wait than there are processes that will take one each, in a pool whose starts go well.
    fn runs_behind(&self) -> bool {
        let to_come = self.all_processes().filter(|p| p.is_promising() && p.may_take() > 0).count();
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
