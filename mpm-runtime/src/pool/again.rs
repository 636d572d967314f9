//! Jobs that are tried again: what is done with the end of a try, and with results that somebody judges first.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::calls::guarded;
use super::cell::{Cell, Facts, Raw};
use super::core::Core;
use super::done::not_copied;
use super::ended::Ended;
use super::member::Waiting;
use super::pin::Pin;
use super::policy_time::{AfterTry, Failed, after_try};
use super::rules::Retrying;
use crate::error::{JobError, Poisoned};
use crate::link::{Bytes, Received};

/// A result that is to be judged, on a thread of its own: that runs code of the user's, which may want the pool.
#[derive(Debug)]
pub(super) struct Judged {
    cell: Arc<Cell>,
    outcome: Raw,
    facts: Facts,
}

/// What becomes of a job after a try.
#[derive(Debug)]
pub(super) enum Next {
    Ends(Raw),
    Judged(Raw),
    /// It is tried again after this time; else this would be its outcome.
    Again(Duration, Raw),
}

fn kind(outcome: &Raw) -> Failed {
    match outcome {
        Raw::Failed(JobError::Died(_)) => Failed::Died,
        Raw::Failed(JobError::TimedOut(_)) => Failed::TimedOut,
        Raw::Failed(JobError::Panicked(_)) => Failed::Panicked,
        Raw::Failed(_) => Failed::Otherwise,
        Raw::Value(_) => Failed::Returned,
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some digits of chance are enough")]
    let chance = (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64;
    chance
}

impl Retrying {
    /// What becomes of the job of `cell` after a try that has ended so.
    pub(super) fn after(&self, cell: &Cell, outcome: Raw) -> Next {
        match outcome {
            Raw::Value(_) if self.is_judged() => Next::Judged(outcome),
            Raw::Value(_) => Next::Ends(outcome),
            Raw::Failed(_) => self.after_failure(cell, outcome),
        }
    }

    /// What becomes of the job of `cell` after a failed try.
    fn after_failure(&self, cell: &Cell, outcome: Raw) -> Next {
        let mut tries = self.tries();
        if let Raw::Failed(JobError::Died(death)) = &outcome {
            tries.deaths.push((**death).clone());
        }
        if tries.is_last {
            return Next::Ends(outcome);
        }
        let deaths = u32::try_from(tries.deaths.len()).unwrap_or(u32::MAX);
        match after_try(&self.retry, kind(&outcome), tries.failed + 1, deaths, chance()) {
            AfterTry::End => Next::Ends(outcome),
            AfterTry::Poisoned => {
                let deaths = std::mem::take(&mut tries.deaths);
                Next::Ends(Raw::Failed(JobError::Poisoned(Box::new(Poisoned { job: cell.id(), target: cell.target, deaths }))))
            }
            AfterTry::Again(wait) => {
                tries.failed += 1;
                Next::Again(wait, outcome)
            }
        }
    }

    fn next_try(&self, cell: &Arc<Cell>) -> Option<Waiting> {
        let (target, arguments) = self.kept()?;
        Some(Waiting { cell: Arc::clone(cell), target, payload: Bytes::from(arguments).into() })
    }
}

impl Ended {
    /// Ends a try at a job that may be tried again.
    pub(super) fn end_try(&mut self, cell: Arc<Cell>, retrying: &Retrying, outcome: Raw, facts: Facts) {
        match retrying.after(&cell, outcome) {
            Next::Ends(outcome) => self.end_for_good(cell, outcome, facts),
            Next::Judged(outcome) => self.judged.push(Judged { cell, outcome, facts }),
            Next::Again(wait, outcome) => self.again.push((wait, Judged { cell, outcome, facts })),
        }
    }
}

impl Core {
    /// Puts the jobs that are to be tried again where they wait for that. In a pool that takes none any more they end with how their
    /// last try did.
    #[inline]
    pub(super) fn take_up_again(&mut self) {
        if !self.jobs_ended.again.is_empty() || !self.jobs_ended.judged.is_empty() {
            self.take_these_up_again();
        }
    }

    fn take_these_up_again(&mut self) {
        let takes_none = self.failed.is_some() || self.ending.is_some_and(|ending| ending.kill_at.is_some());
        for (wait, Judged { cell, outcome, facts }) in std::mem::take(&mut self.jobs_ended.again) {
            // A run that is for one worker is over with it.
            let is_bound = cell.pin().is_some_and(Pin::is_personal);
            let retrying = cell.retrying().filter(|retrying| !takes_none && !is_bound && !retrying.tries().is_last);
            let next = retrying.and_then(|retrying| retrying.next_try(&cell)).zip(Instant::now().checked_add(wait));
            match next {
                Some((job, at)) => {
                    self.jobs_ended.retried(&cell, &outcome, wait);
                    self.try_later(at, job);
                }
                None => {
                    cell.retrying().into_iter().for_each(Retrying::uncount);
                    self.jobs_ended.end_for_good(cell, outcome, facts);
                }
            }
        }
        for judged in std::mem::take(&mut self.jobs_ended.judged) {
            self.judging += 1;
            if let Some(lanes) = &mut self.lanes {
                // It does not run any more.
                lanes.limits.iter_mut().filter(|limit| limit.is_of(&judged.cell)).for_each(|limit| limit.release(&judged.cell));
            }
            self.judges.push(judged);
        }
    }

    /// Takes up a job whose result has been judged.
    fn judged(&mut self, Judged { cell, outcome, facts }: Judged, again: bool) {
        self.judging -= 1;
        // Somebody may have waited for this, and it may have held up others of its kind.
        self.wake = true;
        let retrying = cell.retrying();
        let next = match retrying {
            Some(retrying) if again => retrying.after_failure(&cell, outcome),
            _ => Next::Ends(outcome),
        };
        match next {
            Next::Again(wait, outcome) => self.jobs_ended.again.push((wait, Judged { cell, outcome, facts })),
            Next::Ends(outcome) | Next::Judged(outcome) => self.jobs_ended.end_for_good(cell, outcome, facts),
        }
        self.take_up_again();
    }
}

impl super::shared::Shared {
    /// Judges a result: runs code of the user's.
    pub(super) fn judge(&self, mut judged: Judged) {
        let mut again = false;
        let judge = judged.cell.retrying().and_then(Retrying::judge);
        judged.outcome = match (judge, judged.outcome) {
            (Some(judge), Raw::Value(value)) => {
                let len = value.len() as u64;
                match value.into_bytes() {
                    Ok(bytes) => {
                        guarded(|| again = judge(&bytes));
                        Raw::Value(Received::Bytes(bytes))
                    }
                    Err(error) => Raw::Failed(not_copied(&judged.cell, len, &error)),
                }
            }
            // Nobody judges it any more.
            (_, outcome) => outcome,
        };
        self.with_core(|core| core.judged(judged, again));
    }
}
