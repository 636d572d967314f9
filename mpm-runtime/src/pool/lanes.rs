//! The lanes beside the plain queue, for jobs with a priority, a worker or a limit of their own. A
//! pool has none of this until something needs it.
//!
//! | a job | lies in |
//! |---|---|
//! | without rules | the plain queue |
//! | with a priority, or the first of its key | the lane of no worker and no target |
//! | of a target that has limits | that target's lane |
//! | whose key is at home with a worker, pinned to a worker | that worker's lane |
//! | both | the lane of that worker and target |
//!
//! Jobs in a lane go in the order of their turns. A lane waits as a whole for its worker to have room and for its limits to be open,
//! and holds up no other.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::keys::Keys;
use super::limit::Limit;
use super::member::Waiting;
use super::settings::Settings;

/// Jobs that a worker has at most while urgent ones come again and again: each takes back what is in its way, and that is to cost
/// less than the jobs themselves.
const SHY: u32 = 16;
/// For so many jobs after one for which something was taken back: as many as may have been.
const SHY_FOR: u64 = 512;

/// No incarnation has this number.
const SEVERAL: u64 = u64::MAX;

/// What comes first: the higher priority, then the earlier submission. The smaller turn comes first.
pub(super) type Turn = (Reverse<i32>, u64);

pub(super) fn turn(cell: &Cell) -> Turn {
    (Reverse(cell.priority()), cell.id())
}

/// Whose jobs a lane has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    /// The slot whose worker alone is to run them.
    pub(super) slot: Option<usize>,
    /// The target whose limits hold for them.
    pub(super) target: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) jobs: BTreeMap<Turn, Waiting>,
    /// Of a worker's lane: the incarnation that took jobs in its slot when the first one came, or when that was last looked at, or whose end
    /// its jobs wait for; 0 for none, [`SEVERAL`] where that is not the same for all.
    pub(super) host: u64,
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Address, Lane>,
    /// Jobs in them.
    count: usize,
    pub(super) limits: Vec<Limit>,
    pub(super) keys: Keys,
    /// Nothing is handed out.
    pub(super) is_paused: bool,
    /// Jobs that have got their slot in turn.
    pub(super) turns: usize,
    /// The lowest priority that any job had.
    pub(super) lowest: i32,
    /// Before the job of this id comes, not many are handed out ahead of time.
    shy_until: u64,
    /// When the supervisor wakes for what is here.
    pub(super) alarm: Option<Instant>,
}

impl Lanes {
    /// `None` if nothing needs them from the start.
    pub(super) fn of(settings: &Settings) -> Option<Box<Self>> {
        let limits: Vec<_> = settings.target_limits.iter().map(Limit::new).collect();
        (!limits.is_empty()).then(|| Box::new(Self { limits, ..Self::default() }))
    }

    /// Whether there is nothing here that the plain way does not know.
    pub(super) fn is_calm(&self) -> bool {
        self.count == 0 && !self.is_paused
    }

    /// What was handed out ahead of time was in somebody's way, and this was the last job of all.
    pub(super) fn be_shy(&mut self, last_job: u64) {
        self.shy_until = last_job + SHY_FOR;
    }

    /// How many jobs a worker may have where it could have so many.
    pub(super) fn look_ahead(&self, most: u32, last_job: u64) -> u32 {
        if last_job < self.shy_until { most.min(SHY) } else { most }
    }

    /// Those that have jobs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Address, &Lane)> {
        self.lanes.iter().filter(|(_, lane)| !lane.jobs.is_empty()).map(|(address, lane)| (*address, lane))
    }

    /// Jobs that any worker may have now, as far as their limits were looked at.
    pub(super) fn free_jobs(&self) -> usize {
        let free = self.iter().filter(|(address, _)| address.slot.is_none() && self.is_open(*address));
        free.map(|(_, lane)| lane.jobs.len()).sum()
    }

    /// Puts a job in its place; `host` takes jobs now in the slot of that address.
    pub(super) fn insert(&mut self, address: Address, job: Waiting, host: u64) {
        let lane = self.lanes.entry(address).or_default();
        if lane.jobs.is_empty() {
            lane.host = host;
        } else if lane.host != host {
            lane.host = SEVERAL;
        }
        lane.jobs.insert(turn(&job.cell), job);
        self.count += 1;
    }

    /// Takes out the first job of a lane.
    pub(super) fn pop(&mut self, address: Address) -> Option<Waiting> {
        let (_, job) = self.lanes.get_mut(&address)?.jobs.pop_first()?;
        self.count -= 1;
        Some(job)
    }

    /// Takes out all jobs of a lane.
    pub(super) fn empty(&mut self, address: Address) -> impl Iterator<Item = Waiting> + use<> {
        let jobs = self.lanes.remove(&address).unwrap_or_default().jobs;
        self.count -= jobs.len();
        jobs.into_values()
    }

    /// Takes out one job, if it is here.
    pub(super) fn remove(&mut self, cell: &Arc<Cell>) -> Option<Waiting> {
        let turn = turn(cell);
        let found = self.lanes.values_mut().find_map(|lane| lane.jobs.remove(&turn));
        self.count -= usize::from(found.is_some());
        found
    }

    /// Takes out those jobs that `is_it` knows.
    pub(super) fn extract(&mut self, is_it: impl Fn(&Cell) -> bool) -> Vec<Waiting> {
        let mut out = Vec::new();
        for lane in self.lanes.values_mut() {
            out.extend(lane.jobs.extract_if(.., |_, job| is_it(&job.cell)).map(|(_, job)| job));
        }
        self.count -= out.len();
        out
    }

    pub(super) fn limit_of(&self, target: u32) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.target == target)
    }

    pub(super) fn limit_of_mut(&mut self, target: u32) -> Option<&mut Limit> {
        self.limits.iter_mut().find(|limit| limit.target == target)
    }

    /// Whether the limits of a lane let one more job through, as they were last looked at.
    pub(super) fn is_open(&self, address: Address) -> bool {
        address.target.and_then(|target| self.limit_of(target)).is_none_or(|limit| limit.is_open)
    }

    /// When something here can be handed out that only has to wait for its time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.is_paused {
            return None;
        }
        let limits = self.iter().filter_map(|(address, _)| self.limit_of(address.target?)?.opens_at);
        limits.min()
    }
}
