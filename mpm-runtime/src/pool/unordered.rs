//! Running a target over an iterator, with the outcomes in the order in which the jobs end.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::face::Pool;
use super::handle::JobHandle;
use super::map::{Inputs, default_look_ahead, submit};
use super::watcher::Finished;
use crate::error::JobError;
use crate::registry::Target;

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

    /// At most how many inputs are taken ahead of the outcomes that were asked for: 64 per worker, or as many as the
    /// pool's queue holds, unless set here. 0 counts as 1.
    pub fn look_ahead(mut self, jobs: usize) -> Self {
        self.ahead = jobs.max(1);
        self
    }

    fn fill(&mut self) {
        while self.running.len() + self.ended.len() < self.ahead {
            let Some(job) = self.inputs.as_mut().and_then(Iterator::next) else {
                self.inputs = None;
                return;
            };
            let index = self.next_index;
            self.next_index += 1;
            match submit::<F>(self.pool, job) {
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
