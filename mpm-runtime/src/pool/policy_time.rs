//! Decisions about time as pure functions: whether a running job has met a limit, how its end goes on, how soon a job is tried
//! again. The supervisor alone acts.

use std::time::Duration;

use super::overdue::Step;
use crate::error::TimeLimit;
use crate::registry::Retry;

/// The limits of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Option<Duration>,
    pub(super) cpu: Option<Duration>,
}

impl Limits {
    pub(super) fn any(&self) -> bool {
        self.time.is_some() || self.cpu.is_some()
    }
}

/// What is seen of a job that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Since its start, or since it told of its progress.
    pub(super) ran: Duration,
    pub(super) cpu: Duration,
}

/// What to do about a job's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has met this one.
    Over(TimeLimit, Duration),
    /// It cannot have met one before this time is over.
    LookIn(Duration),
}

/// The CPU time that a job uses is looked at no more often than this.
const CPU_LOOK: Duration = Duration::from_millis(5);

/// About a job that has `limits`, at least one; `None` is seen of one that no worker runs yet: that one cannot meet its limit sooner
/// than if it began now.
pub(super) fn verdict(limits: Limits, seen: Option<Seen>) -> Verdict {
    let Seen { ran, cpu } = seen.unwrap_or(Seen { ran: Duration::ZERO, cpu: Duration::ZERO });
    match limits {
        Limits { time: Some(limit), .. } if ran >= limit => Verdict::Over(TimeLimit::Time, limit),
        Limits { cpu: Some(limit), .. } if cpu >= limit => Verdict::Over(TimeLimit::CpuTime, limit),
        Limits { time, cpu: most } => {
            let time = time.map(|limit| limit - ran);
            // A thread can use as much as passes; several together more: then the next look finds less left.
            let cpu = most.map(|limit| ((limit - cpu) / 2).max(CPU_LOOK));
            Verdict::LookIn([time, cpu].into_iter().flatten().min().unwrap_or(Duration::MAX))
        }
    }
}

/// The step that comes after `step` in the end of a running job, and how long after it.
pub(super) fn next_step(step: Step, grace: Duration) -> Option<(Step, Duration)> {
    match step {
        Step::Asked if grace.is_zero() => Some((Step::Killed, Duration::ZERO)),
        Step::Asked => Some((Step::Terminated, grace / 2)),
        Step::Terminated => Some((Step::Killed, grace - grace / 2)),
        Step::Killed => None,
    }
}

/// How a try at a job has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Died,
    TimedOut,
    Panicked,
    /// It returned a value after which it is to be tried again.
    Returned,
    /// It could not travel, was cancelled, or the like.
    Otherwise,
}

/// What to do about a job after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterTry {
    /// The failure is its outcome.
    End,
    /// It has killed too many workers.
    Poisoned,
    /// It is tried again after this time.
    Again(Duration),
}

/// After `failed` tries, the last of which ended like this, and `deaths` dead workers; `chance` is from 0 to 1.
pub(super) fn after_try(retry: &Retry, last: Failed, failed: u32, deaths: u32, chance: f64) -> AfterTry {
    let wants = match last {
        Failed::Died => retry.on_death,
        Failed::TimedOut => retry.on_timeout,
        Failed::Panicked => retry.on_panic,
        Failed::Returned => true,
        Failed::Otherwise => false,
    };
    if wants && last == Failed::Died && deaths >= retry.poison_after {
        return AfterTry::Poisoned;
    }
    if !wants || failed > retry.times {
        return AfterTry::End;
    }
    let whole = retry.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(retry.longest);
    AfterTry::Again(whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_job_is_over_at_its_limit_and_looked_at_no_sooner() {
        let limits = |time, cpu| Limits { time, cpu };
        let seen = |ran, cpu| Some(Seen { ran: ms(ran), cpu: ms(cpu) });
        let table = [
            (limits(Some(ms(100)), None), None, Verdict::LookIn(ms(100))),
            (limits(Some(ms(100)), None), seen(30, 500), Verdict::LookIn(ms(70))),
            (limits(Some(ms(100)), None), seen(100, 0), Verdict::Over(TimeLimit::Time, ms(100))),
            (limits(None, Some(ms(100))), seen(500, 20), Verdict::LookIn(ms(40))),
            (limits(None, Some(ms(100))), seen(500, 99), Verdict::LookIn(CPU_LOOK)),
            (limits(None, Some(ms(100))), seen(500, 100), Verdict::Over(TimeLimit::CpuTime, ms(100))),
            (limits(Some(ms(30)), Some(ms(100))), None, Verdict::LookIn(ms(30))),
            (limits(Some(ms(30)), Some(ms(10))), seen(40, 20), Verdict::Over(TimeLimit::Time, ms(30))),
        ];
        for (limits, seen, expected) in table {
            assert_eq!(verdict(limits, seen), expected, "{limits:?} {seen:?}");
        }
    }

    #[test]
    fn a_job_is_asked_then_terminated_then_killed_within_the_grace() {
        let table = [
            (Step::Asked, ms(2000), Some((Step::Terminated, ms(1000)))),
            (Step::Terminated, ms(2000), Some((Step::Killed, ms(1000)))),
            (Step::Killed, ms(2000), None),
            (Step::Asked, ms(0), Some((Step::Killed, ms(0)))),
        ];
        for (step, grace, expected) in table {
            assert_eq!(next_step(step, grace), expected, "{step:?} {grace:?}");
        }
    }

    #[test]
    fn a_job_is_tried_again_as_often_and_after_what_it_says() {
        let retry = Retry::times(2).backoff(ms(100), ms(1000));
        let again = |ms| AfterTry::Again(Duration::from_millis(ms));
        let table = [
            (retry.clone(), Failed::Died, 1, 1, 0.0, again(50)),
            (retry.clone(), Failed::Died, 1, 1, 1.0, again(100)),
            (retry.clone(), Failed::Died, 2, 2, 0.0, again(100)),
            (retry.clone(), Failed::Died, 3, 2, 0.0, AfterTry::End),
            (retry.clone(), Failed::Died, 3, 3, 0.0, AfterTry::Poisoned),
            (retry.clone().on_death(false), Failed::Died, 1, 1, 0.0, AfterTry::End),
            (retry.clone(), Failed::TimedOut, 1, 0, 0.0, again(50)),
            (retry.clone().on_timeout(false), Failed::TimedOut, 1, 0, 0.0, AfterTry::End),
            (retry.clone(), Failed::Panicked, 1, 0, 0.0, AfterTry::End),
            (retry.clone().on_panic(true), Failed::Panicked, 1, 0, 0.0, again(50)),
            (retry.clone(), Failed::Returned, 2, 0, 0.5, again(150)),
            (retry.clone(), Failed::Returned, 3, 0, 0.5, AfterTry::End),
            (retry.clone(), Failed::Otherwise, 1, 0, 0.0, AfterTry::End),
            (Retry::times(9).backoff(ms(100), ms(1000)).poison_after(99), Failed::Died, 8, 8, 1.0, again(1000)),
            (retry.poison_after(1), Failed::Died, 1, 1, 0.0, AfterTry::Poisoned),
        ];
        for (retry, last, failed, deaths, chance, expected) in table {
            assert_eq!(after_try(&retry, last, failed, deaths, chance), expected, "{last:?} {failed} {deaths} {chance}");
        }
    }
}
