//! Running a target over an iterator: lazily, with a bounded number of jobs ahead of the consumer.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::face::Pool;
use super::handle::JobHandle;
use super::watcher::Finished;
use crate::error::JobError;
use crate::registry::{Job, Target};

/// Jobs ahead of the consumer for each worker, unless chosen otherwise.
const AHEAD: usize = 64;

/// Where inputs come from.
pub(super) type Inputs<'a, F> = Box<dyn Iterator<Item = <F as Target>::Args<'a>> + 'a>;

fn default_look_ahead(pool: &Pool) -> usize {
    pool.worker_count().saturating_mul(AHEAD).min(pool.queue_size()).max(1)
}

/// One input submitted; a refusal counts as the job's error, so that it comes out in its place.
fn submit<'a, F: Target>(pool: &Pool, input: F::Args<'a>) -> Result<JobHandle<F::Output>, JobError> {
    Ok(pool.submit(Job::<F>::new(input))?)
}

/// The iterator made by [`Pool::map`]: outcomes in the order of the inputs.
#[must_use = "nothing is run until the iterator is"]
pub struct Map<'a, F: Target> {
    pool: &'a Pool,
    inputs: Option<Inputs<'a, F>>,
    ahead: usize,
    window: VecDeque<Result<JobHandle<F::Output>, JobError>>,
}

impl<'a, F: Target> Map<'a, F> {
    pub(super) fn new(pool: &'a Pool, inputs: Inputs<'a, F>) -> Self {
        Self { pool, inputs: Some(inputs), ahead: default_look_ahead(pool), window: VecDeque::new() }
    }

    /// At most how many inputs are taken ahead of the outcomes that were asked for: 64 per worker, or as many as the
    /// pool's queue holds, unless set here. 0 counts as 1.
    pub fn look_ahead(mut self, jobs: usize) -> Self {
        self.ahead = jobs.max(1);
        self
    }

    fn fill(&mut self) {
        while self.window.len() < self.ahead {
            let Some(input) = self.inputs.as_mut().and_then(Iterator::next) else {
                // An ended iterator is not asked again: not all of them like it.
                self.inputs = None;
                return;
            };
            self.window.push_back(submit::<F>(self.pool, input));
        }
    }
}

impl<F: Target> Iterator for Map<'_, F> {
    type Item = Result<F::Output, JobError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        Some(self.window.pop_front()?.and_then(JobHandle::wait))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.inputs.as_ref().map_or((0, Some(0)), |inputs| inputs.size_hint());
        let ahead = self.window.len();
        (low.saturating_add(ahead), high.and_then(|high| high.checked_add(ahead)))
    }
}

impl<F: Target> Drop for Map<'_, F> {
    fn drop(&mut self) {
        // The newest first: what is taken back then never has to be handed to another worker on the way.
        self.window.iter().rev().flatten().for_each(|job| {
            job.cancel();
        });
    }
}

impl<F: Target> fmt::Debug for Map<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({}, {} ahead)", F::NAME, self.window.len())
    }
}

/// The iterator made by [`Pool::map_unordered`]: `(index of the input, outcome)` in the order in which the jobs end.
#[must_use = "nothing is run until the iterator is"]
pub struct MapUnordered<'a, F: Target> {
    pool: &'a Pool,
    inputs: Option<Inputs<'a, F>>,
    ahead: usize,
    next_index: usize,
    running: HashMap<usize, JobHandle<F::Output>>,
    list: Arc<Finished>,
    /// Ended and not handed out yet, the oldest first.
    ended: VecDeque<(usize, Result<F::Output, JobError>)>,
}

impl<'a, F: Target> MapUnordered<'a, F> {
    pub(super) fn new(pool: &'a Pool, inputs: Inputs<'a, F>) -> Self {
        Self {
            pool,
            inputs: Some(inputs),
            ahead: default_look_ahead(pool),
            next_index: 0,
            running: HashMap::new(),
            list: Arc::default(),
            ended: VecDeque::new(),
        }
    }

    /// As [`Map::look_ahead`].
    pub fn look_ahead(mut self, jobs: usize) -> Self {
        self.ahead = jobs.max(1);
        self
    }

    fn fill(&mut self) {
        while self.running.len() + self.ended.len() < self.ahead {
            let Some(input) = self.inputs.as_mut().and_then(Iterator::next) else {
                self.inputs = None;
                return;
            };
            let index = self.next_index;
            self.next_index += 1;
            match submit::<F>(self.pool, input) {
                Ok(job) => {
                    job.shared.list(&job.cell, &self.list, index);
                    self.running.insert(index, job);
                }
                Err(error) => self.ended.push_back((index, Err(error))),
            }
        }
    }
}

impl<F: Target> Iterator for MapUnordered<'_, F> {
    type Item = (usize, Result<F::Output, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        if self.list.is_copy() {
            // A forked copy of the process, where nobody adds to the list: all that runs counts as ended.
            let mut lost: Vec<_> = self.running.drain().map(|(index, job)| (index, job.wait())).collect();
            lost.sort_unstable_by_key(|(index, _)| *index);
            self.ended.extend(lost);
        }
        if self.ended.is_empty() && !self.running.is_empty() {
            for index in self.list.wait(None) {
                if let Some(job) = self.running.remove(&index) {
                    self.ended.push_back((index, job.wait()));
                }
            }
        }
        self.ended.pop_front()
    }
}

impl<F: Target> Drop for MapUnordered<'_, F> {
    fn drop(&mut self) {
        self.running.values().for_each(|job| {
            job.cancel();
        });
    }
}

impl<F: Target> fmt::Debug for MapUnordered<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapUnordered({}, {} ahead)", F::NAME, self.running.len())
    }
}
