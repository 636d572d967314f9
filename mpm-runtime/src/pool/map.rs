//! Running a target over an iterator: lazily, with a bounded number of jobs ahead of the consumer. Short jobs travel together,
//! as many as take about 100 microseconds by what those before them took.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::chunk::Outcomes;
use super::current::Current;
use super::face::Pool;
use super::handle::JobHandle;
use super::items::MANY;
use super::policy::{average, chunk_size, map_ahead};
use crate::codec::Encoder;
use crate::error::JobError;
use crate::link::{Bytes, ITEM_LENGTH};
use crate::registry::{Job, Target};

/// Jobs ahead of the consumer for each worker, unless chosen otherwise.
const AHEAD: usize = 64;
/// Arguments longer than this travel alone.
const LONG: usize = 2 * 1024;
/// No job is added to a chunk whose arguments take so many bytes together.
const FULL: usize = 24 * 1024;

/// Where inputs come from.
pub(super) type Inputs<'a, F> = Box<dyn Iterator<Item = Job<'a, F>> + 'a>;

pub(super) fn default_look_ahead(pool: &Pool) -> usize {
    pool.worker_count().saturating_mul(AHEAD).min(pool.queue_size()).max(1)
}

/// One input submitted; a refusal counts as the job's error, so that it comes out in its place.
pub(super) fn submit<F: Target>(pool: &Pool, job: Job<'_, F>) -> Result<JobHandle<F::Output>, JobError> {
    Ok(pool.submit(job)?)
}

/// What was submitted, in the order of the inputs.
enum Ahead<R> {
    One(Result<JobHandle<R>, JobError>),
    Several(Arc<Cell>),
}

/// The iterator made by [`Pool::map`]: outcomes in the order of the inputs.
#[must_use = "nothing is run until the iterator is"]
pub struct Map<'a, F: Target> {
    pool: &'a Pool,
    inputs: Option<Inputs<'a, F>>,
    /// At most so many inputs ahead, if the user says so.
    limit: Option<usize>,
    window: VecDeque<Ahead<F::Output>>,
    /// Inputs that were taken and whose outcomes were not given.
    ahead: usize,
    /// Inputs are taken when there is room for so many: as many as travel together.
    size: usize,
    /// At most so many inputs ahead now.
    most: usize,
    /// At most so many jobs and chunks ahead, each of which takes a place in the pool's queue.
    entries: usize,
    /// Mean run time of its jobs in nanoseconds, and mean time that an input takes.
    mean: Option<u64>,
    mean_input: u64,
    /// The chunk of which outcomes are being given.
    current: Option<Current>,
    /// Arguments on their way into a chunk.
    scratch: Vec<u8>,
}

impl<'a, F: Target> Map<'a, F> {
    pub(super) fn new(pool: &'a Pool, inputs: Inputs<'a, F>) -> Self {
        let (most, window, scratch) = (default_look_ahead(pool), VecDeque::new(), Vec::new());
        let (limit, mean, current, entries) = (None, None, None, pool.queue_size());
        Self { pool, inputs: Some(inputs), limit, window, ahead: 0, size: 1, most, entries, mean, mean_input: 0, current, scratch }
    }

    /// At most how many inputs are taken ahead of the outcomes that were asked for. 0 counts as 1.
    ///
    /// Unless it is set here, these are 64 per worker, or as many as the pool's queue holds; of jobs that take less than some
    /// microseconds more, what a worker does in about 400 microseconds, and never more than 4096 per worker.
    ///
    /// Short jobs are handed to the workers some at a time, not more than a quarter of what is ahead of each worker. With 1 each
    /// input is handed over before the next one is taken.
    pub fn look_ahead(mut self, jobs: usize) -> Self {
        self.limit = Some(jobs.max(1));
        (self.most, self.entries) = (jobs.max(1), usize::MAX);
        self
    }

    /// Takes inputs while there is room for as many as travel together.
    #[inline(never)]
    fn fill(&mut self) {
        while self.has_room() {
            if self.size == 1 { self.fill_one() } else { self.fill_several() }
        }
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.inputs.is_some() && self.ahead.saturating_add(self.size) <= self.most && self.window.len() < self.entries
    }

    fn fill_one(&mut self) {
        self.mean_input -= self.mean_input / 8;
        let Some(job) = self.inputs.as_mut().and_then(Iterator::next) else {
            // An ended iterator is not asked again: not all of them like it.
            self.inputs = None;
            return;
        };
        self.window.push_back(Ahead::One(submit::<F>(self.pool, job)));
        self.ahead += 1;
    }

    /// Fills a chunk and submits it.
    fn fill_several(&mut self) {
        let began = Instant::now();
        let (mut buffer, mut jobs) = (std::mem::take(&mut self.scratch), 0);
        let before = self.ahead;
        // Inputs that panic shall cost no job of those before.
        let filled = catch_unwind(AssertUnwindSafe(|| self.encode(&mut buffer, &mut jobs)));
        self.hand_over(&mut buffer, jobs);
        self.scratch = buffer;
        let time = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.mean_input = time / ((self.ahead - before) as u64).max(1);
        filled.unwrap_or_else(|panic| resume_unwind(panic));
    }

    /// Takes inputs into the buffer, as many as travel together; of these it holds so many `jobs`.
    fn encode(&mut self, buffer: &mut Vec<u8>, jobs: &mut u32) {
        let most = self.ahead + self.size;
        while self.ahead < most && buffer.len() < FULL {
            let Some(job) = self.inputs.as_mut().and_then(Iterator::next) else {
                self.inputs = None;
                return;
            };
            self.ahead += 1;
            let start = buffer.len();
            buffer.extend_from_slice(&[0; ITEM_LENGTH]);
            let mut encoder = Encoder::behind(std::mem::take(buffer));
            let encoded = job.encode_caught_to(&mut encoder);
            let is_large = encoder.has_large_runs();
            *buffer = encoder.into_buffer();
            let length = buffer.len() - start - ITEM_LENGTH;
            if encoded.is_ok() && !is_large && length <= LONG && job.options().is_none() {
                let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
                if let Some(place) = buffer.get_mut(start..start + ITEM_LENGTH) {
                    place.copy_from_slice(&length);
                }
                *jobs += 1;
                continue;
            }
            // It goes alone, by the way that knows what to do with it, and the others before it.
            buffer.truncate(start);
            self.hand_over(buffer, std::mem::take(jobs));
            self.window.push_back(Ahead::One(self.pool.submit(job).map_err(JobError::from)));
        }
    }

    /// Submits what is in the buffer.
    fn hand_over(&mut self, buffer: &mut Vec<u8>, jobs: u32) {
        if jobs == 0 {
            return;
        }
        let cell = Arc::new(Cell::of_jobs(F::NAME, jobs, Instant::now(), Outcomes::default()));
        let payload = Bytes::take(buffer);
        buffer.clear();
        match self.pool.submit_several::<F>(&cell, payload) {
            Ok(()) => self.window.push_back(Ahead::Several(cell)),
            Err(refusal) => {
                let error = JobError::from(refusal);
                (0..jobs).for_each(|_| self.window.push_back(Ahead::One(Err(error.clone()))));
            }
        }
    }

    /// A job took so long.
    fn learn(&mut self, mean: u64) {
        self.mean = Some(mean);
        let workers = self.pool.worker_count();
        if self.limit.is_none() {
            self.most = map_ahead(mean, workers).max(default_look_ahead(self.pool));
        }
        let size = if self.pool.go_alone::<F>() { 1 } else { chunk_size(mean.max(self.mean_input), self.most, workers) };
        // The inputs may be slower than the jobs: that is seen before many of them are held up.
        self.size = size.min(self.size * 2);
    }

    /// The next outcome, where it does not lie at hand.
    #[inline(never)]
    fn advance(&mut self) -> Option<Result<F::Output, JobError>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(outcome) = current.next::<F>() {
                    return Some(outcome);
                }
                if current.is_done {
                    let rest = current.cell.chunk.as_ref().and_then(|chunk| chunk.rest());
                    self.current = rest.map(|cell| Current::new(cell, std::mem::take(&mut current.taken)));
                    continue;
                }
                if let Some(error) = self.pool.take_several(&current.cell, &mut current.taken, &mut current.is_done) {
                    return Some(Err(error));
                }
                current.begin();
                let (ran, jobs) = current.taken.times();
                if let Some(each) = ran.checked_div(jobs) {
                    let mean = if jobs >= MANY.into() { each } else { average(self.mean, each) };
                    self.learn(mean);
                }
                continue;
            }
            match self.window.pop_front()? {
                Ahead::Several(cell) => self.current = Some(Current::new(cell, Outcomes::default())),
                Ahead::One(Err(error)) => return Some(Err(error)),
                Ahead::One(Ok(job)) => {
                    let (outcome, ran) = job.wait_timed();
                    if let Some(ran) = ran {
                        self.learn(average(self.mean, u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX)));
                    }
                    return Some(outcome);
                }
            }
        }
    }
}

impl<F: Target> Iterator for Map<'_, F> {
    type Item = Result<F::Output, JobError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_room() {
            self.fill();
        }
        if self.ahead == 0 {
            return None;
        }
        let at_hand = self.current.as_mut().and_then(|current| current.next::<F>());
        let outcome = at_hand.or_else(|| self.advance())?;
        self.ahead -= 1;
        Some(outcome)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.inputs.as_ref().map_or((0, Some(0)), |inputs| inputs.size_hint());
        (low.saturating_add(self.ahead), high.and_then(|high| high.checked_add(self.ahead)))
    }
}

impl<F: Target> Drop for Map<'_, F> {
    fn drop(&mut self) {
        // The newest first: what is taken back then never has to be handed to another worker on the way.
        for ahead in self.window.drain(..).rev() {
            match ahead {
                Ahead::One(Ok(job)) => drop(job.cancel()),
                Ahead::One(Err(_)) => {}
                Ahead::Several(cell) => self.pool.cancel_several(&cell),
            }
        }
        if let Some(current) = self.current.take() {
            self.pool.cancel_several(&current.cell);
        }
    }
}

impl<F: Target> fmt::Debug for Map<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({}, {} ahead)", F::NAME, self.ahead)
    }
}
