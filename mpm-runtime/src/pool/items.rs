//! The jobs of a chunk on their way: their results come in, those that have not started come back, one dies with its worker.

use std::sync::Arc;

use super::cell::{Cell, Place, Raw};
use super::chunk::Outcomes;
use super::core::Core;
use super::ended::Ended;
use super::member::{Fate, Process, Waiting};
use super::policy::average;
use crate::error::JobError;
use crate::link::{Batch, Bytes, ItemFrame, Kind, Received};

/// Results that settle the average at once. Of few it may be unknown how long they ran.
pub(super) const MANY: u32 = 64;

impl Process {
    /// Takes in the results that are there of the chunk in front, the one of `cell`. Whether there may be more behind them.
    pub(super) fn drain_items(&mut self, cell: &Arc<Cell>, ended: &mut Ended, mean: &mut Option<u64>) -> bool {
        let Some(chunk) = &cell.chunk else { return false };
        let mut taken = Ok(None);
        let tell = chunk.add(cell, |outcomes, first| {
            let start = outcomes.frames.len();
            taken = self.link.next_items(&mut outcomes.frames);
            match &mut taken {
                Ok(Some(batch)) => {
                    if batch.has_others {
                        self.sort_out((cell, first), outcomes, start, batch, ended);
                    }
                    outcomes.ran += batch.ran;
                    outcomes.answers += u64::from(batch.items);
                    batch.items
                }
                _ => {
                    outcomes.frames.truncate(start);
                    0
                }
            }
        });
        match taken {
            Ok(None) => false,
            Err(violation) => {
                self.kill(Fate::Damaged(violation.to_string()));
                false
            }
            Ok(Some(Batch { items, ran, is_last, .. })) => {
                ended.several(items, tell);
                let each = ran / u64::from(items.max(1));
                *mean = Some(if items >= MANY { each } else { average(*mean, each) });
                self.jobs_done += u64::from(items);
                self.note_gone(items, is_last);
                true
            }
        }
    }

    /// So many jobs of the chunk in front are here no more; `is_last` if it has none left.
    fn note_gone(&mut self, jobs: u32, is_last: bool) {
        self.more = self.more.saturating_sub(jobs as usize - usize::from(is_last));
        if is_last {
            self.in_flight.pop_front();
        }
    }

    /// Makes what they are of those outcomes that are more than a few bytes: errors, and large values.
    fn sort_out(&mut self, (cell, first): (&Cell, u64), outcomes: &mut Outcomes, start: usize, batch: &mut Batch, ended: &Ended) {
        let push = |outcomes: &mut Outcomes, id: u64, outcome: Raw| {
            if let Raw::Failed(error) = &outcome {
                ended.item_failed(cell, id, || error.clone());
            }
            outcomes.push_aside(outcome);
        };
        let frames = outcomes.frames.split_off(start);
        let mut rest = &*frames;
        let mut id = first;
        while let Some((frame, payload)) = ItemFrame::first_of(rest) {
            let (this, behind) = rest.split_at(frame.size());
            if frame.is_large {
                let payload = batch.large.take().unwrap_or_else(|| Ok(Received::Bytes(Bytes::default())));
                // A segment that could not be taken over is lost to this link: the worker would name it again.
                self.spent |= payload.is_err();
                let len = payload.as_ref().map_or(0, |payload| payload.len() as u64);
                push(outcomes, id, self.open(cell, id, frame.kind, len, payload));
            } else if frame.kind == Kind::Value {
                outcomes.frames.extend_from_slice(this);
            } else {
                let payload = Ok(Received::Bytes(payload.to_vec().into()));
                push(outcomes, id, self.open(cell, id, frame.kind, frame.len as u64, payload));
            }
            rest = behind;
            id += 1;
        }
    }

    /// Takes back the last `count` jobs of the chunk in front, as far as the worker has not started them.
    fn divide(&mut self, count: u32, ended: &mut Ended) -> Option<Waiting> {
        if matches!(self.fate, Some(Fate::Damaged(_))) {
            return None;
        }
        let front = self.in_flight.front()?;
        let (cell, target) = (Arc::clone(&front.cell), front.target);
        let chunk = cell.chunk.as_ref()?;
        match self.link.take_back_items(count) {
            Ok(None) => None,
            Ok(Some((keep, payload, is_last))) => {
                self.nudge();
                let before = chunk.left();
                let (rest, tell) = chunk.divide(&cell, keep)?;
                ended.several(0, tell);
                self.note_gone(before - chunk.left(), is_last);
                Some(Waiting { cell: rest, target, payload: payload.into() })
            }
            Err(violation) => {
                self.kill(Fate::Damaged(violation.to_string()));
                None
            }
        }
    }

    /// Takes back all jobs that the worker has not started, oldest first.
    pub(super) fn take_back_unstarted(&mut self, ended: &mut Ended) -> Vec<Waiting> {
        let behind = self.take_back(0);
        let mut back: Vec<_> = self.divide(u32::MAX, ended).into_iter().collect();
        back.extend(behind);
        back
    }

    /// As [`take_back_unstarted`](Self::take_back_unstarted), but for the job in front.
    pub(super) fn take_back_behind(&mut self, ended: &mut Ended) -> Vec<Waiting> {
        let behind = self.take_back(1);
        let mut back: Vec<_> = self.divide(u32::MAX, ended).into_iter().collect();
        back.extend(behind);
        back
    }

    /// The worker is dead, which had claimed the chunk in front: ends the job of it that ran, if one did, by `death`. Returns the jobs
    /// behind it, whose arguments are `payload`.
    pub(super) fn leave_chunk(
        &mut self,
        death: Option<impl FnOnce(&Self, &Cell, u64) -> JobError>,
        payload: Bytes,
        ended: &mut Ended,
    ) -> Option<Waiting> {
        let job = self.in_flight.pop_front()?;
        self.more = self.more.saturating_sub(job.cell.more());
        let chunk = job.cell.chunk.as_ref()?;
        let left = chunk.left();
        if let Some(death) = death {
            let tell = chunk.add(&job.cell, |outcomes, id| {
                let error = death(self, &job.cell, id);
                ended.item_failed(&job.cell, id, || error.clone());
                outcomes.push_aside(Raw::Failed(error));
                1
            });
            ended.several(1, tell);
        }
        let keep = chunk.ended();
        let (cell, tell) = (left > 0).then(|| chunk.divide(&job.cell, keep)).flatten()?;
        ended.several(0, tell);
        Some(Waiting { cell, target: job.target, payload: payload.into() })
    }
}

impl Core {
    /// As [`steal`](Self::steal), of the chunk with the most jobs that have not started.
    pub(super) fn steal_items(&mut self) -> bool {
        let all = self.members.iter_mut().enumerate().filter_map(|(slot, member)| Some((slot, member.process.as_mut()?)));
        let counts = all.filter(|(_, process)| process.takes_jobs()).map(|(slot, process)| (process.link.unstarted_items(), slot));
        let Some((count, slot)) = counts.max().filter(|(count, _)| *count > 0) else { return false };
        let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return false };
        let before = process.load();
        let jobs: Vec<_> = process.divide(count.div_ceil(2), &mut self.jobs_ended).into_iter().collect();
        let any = !jobs.is_empty();
        self.wake |= any;
        self.note_change(slot, before);
        self.requeue(jobs);
        any
    }

    /// Takes back the jobs of `cell`, a chunk that a worker has claimed, which have not started: as a cell of their own.
    pub(super) fn take_back_rest_of(&mut self, cell: &Arc<Cell>) -> Option<Arc<Cell>> {
        let Place::Member(slot, _) = cell.place() else { return None };
        let slot = usize::try_from(slot).ok()?;
        let process = self.members.get_mut(slot)?.process.as_mut()?;
        let before = process.load();
        process.in_flight.front().filter(|job| Arc::ptr_eq(&job.cell, cell))?;
        let rest = process.divide(u32::MAX, &mut self.jobs_ended);
        self.wake |= rest.is_some();
        self.note_change(slot, before);
        Some(rest?.cell)
    }
}
