//! Which workers are to be replaced, how many at a time, and what each may do before. Decisions alone: `recycle.rs` acts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::limits::Limits;
use crate::error::EndReason;

/// What is to be known of a worker that can take jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    /// It was there when all workers were to be replaced.
    pub(super) is_of_before: bool,
    pub(super) age: Duration,
    pub(super) jobs_done: u64,
    /// How many jobs it may have, if it was told so at its start.
    pub(super) quota: Option<u64>,
    /// How much memory it held, in bytes, when it found that to be too much, or when the pool looked; 0 if neither was.
    pub(super) oversize: u64,
}

/// Why a worker is to be replaced, if it is.
pub(super) fn due(worker: &Worker, limits: &Limits) -> Option<EndReason> {
    let is_over =
        |max: u64| worker.jobs_done >= max && worker.quota.is_none_or(|quota| quota > most_jobs(max, limits.max_jobs_jitter));
    if worker.is_of_before {
        Some(EndReason::Restarted)
    } else if limits.max_size().is_some_and(|most| worker.oversize > most) {
        Some(EndReason::Memory)
    } else if limits.max_age.is_some_and(|most| worker.age >= most) {
        Some(EndReason::Age)
    } else if limits.max_jobs.is_some_and(is_over) {
        // It began when the limit was a higher one.
        Some(EndReason::JobLimit)
    } else {
        None
    }
}

/// How many of so many workers may be in the middle of their replacement.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "some thousands at most")]
pub(super) fn at_a_time(share: f64, workers: usize) -> usize {
    ((workers as f64 * share) as usize).max(1)
}

/// The most jobs that a worker may have where some get a share more than `max`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of jobs")]
fn most_jobs(max: u64, jitter: f64) -> u64 {
    max.saturating_add((max as f64 * jitter) as u64)
}

/// How many jobs one worker may have, by a number drawn at random.
pub(super) fn quota(limits: &Limits, random: u64) -> Option<u64> {
    let max = limits.max_jobs?;
    let more = most_jobs(max, limits.max_jobs_jitter) - max;
    Some(max + random.checked_rem(more.saturating_add(1)).unwrap_or(0))
}

/// A time between three and five quarters of `time`, by a number drawn at random: so that those who failed together do not try again
/// together.
pub(super) fn spread(time: Duration, random: u64) -> Duration {
    let percent = u32::try_from(75 + random % 51).unwrap_or(100);
    time.saturating_mul(percent) / 100
}

/// Notes that something has happened once more; whether that was more than `most` times within `per`.
pub(super) fn too_often(times: &mut VecDeque<Instant>, now: Instant, most: u32, per: Duration) -> bool {
    while times.pop_front_if(|at| now.saturating_duration_since(*at) > per).is_some() {}
    times.push_back(now);
    times.len() > most as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const YOUNG: Worker = Worker { is_of_before: false, age: Duration::ZERO, jobs_done: 7, quota: None, oversize: 0 };
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_worker_is_due_for_the_first_reason_that_holds() {
        let no = Limits::default();
        let age = Limits { max_age: Some(HOUR), ..no.clone() };
        let memory = Limits { max_rss: Some(100), max_rss_hard: Some(200), ..age.clone() };
        let jobs = Limits { max_jobs: Some(5), ..no.clone() };
        let jitter = Limits { max_jobs_jitter: 1.0, ..jobs.clone() };
        let old = Worker { age: HOUR, ..YOUNG };
        let large = Worker { oversize: 101, ..YOUNG };
        let quota = |quota| Worker { quota: Some(quota), ..YOUNG };
        let table = [
            (YOUNG, &no, None),
            (old, &no, None),
            (large, &no, None),
            (Worker { is_of_before: true, ..old }, &memory, Some(EndReason::Restarted)),
            (old, &age, Some(EndReason::Age)),
            (Worker { age: HOUR - Duration::from_nanos(1), ..YOUNG }, &age, None),
            (large, &memory, Some(EndReason::Memory)),
            (Worker { oversize: 100, ..YOUNG }, &memory, None),
            (Worker { age: HOUR, ..large }, &memory, Some(EndReason::Memory)),
            (large, &Limits { max_rss_hard: Some(100), ..no.clone() }, Some(EndReason::Memory)),
            (YOUNG, &jobs, Some(EndReason::JobLimit)),
            (quota(20), &jobs, Some(EndReason::JobLimit)),
            // It knows its number itself.
            (quota(5), &jobs, None),
            (quota(10), &jitter, None),
            (quota(11), &jitter, Some(EndReason::JobLimit)),
            (Worker { jobs_done: 4, ..YOUNG }, &jobs, None),
        ];
        for (worker, limits, expected) in table {
            assert_eq!(due(&worker, limits), expected, "{worker:?} {limits:?}");
        }
    }

    #[test]
    fn a_share_is_replaced_at_a_time_and_one_at_least() {
        let table =
            [(0.25, 1, 1), (0.25, 4, 1), (0.25, 8, 2), (0.25, 9, 2), (1.0, 3, 3), (0.0, 100, 1), (0.5, 0, 1), (0.99, 100, 99)];
        for (share, workers, expected) in table {
            assert_eq!(at_a_time(share, workers), expected, "{share} of {workers}");
        }
    }

    #[test]
    fn quotas_lie_between_the_limit_and_its_jitter() {
        let limits = |max_jobs, max_jobs_jitter| Limits { max_jobs, max_jobs_jitter, ..Limits::default() };
        let table = [
            (None, 0.1, 99, None),
            (Some(1), 0.1, 99, Some(1)),
            (Some(100), 0.0, 99, Some(100)),
            (Some(100), 0.1, 0, Some(100)),
            (Some(100), 0.1, 10, Some(110)),
            (Some(100), 0.1, 11, Some(100)),
            (Some(u64::MAX), 1.0, u64::MAX, Some(u64::MAX)),
        ];
        for (max, jitter, random, expected) in table {
            assert_eq!(quota(&limits(max, jitter), random), expected, "{max:?} {jitter} {random}");
        }
    }

    #[test]
    fn waits_are_spread_around_what_they_would_be() {
        let second = Duration::from_secs(1);
        let table = [(second, 0, 750), (second, 25, 1000), (second, 50, 1250), (second, 51, 750), (Duration::ZERO, 7, 0)];
        for (time, random, millis) in table {
            assert_eq!(spread(time, random), Duration::from_millis(millis));
        }
    }

    #[test]
    fn what_happens_too_often_within_the_time_is_too_often() {
        let begin = Instant::now();
        let table = [
            (2, 10, vec![0, 1, 2], vec![false, false, true]),
            (2, 10, vec![0, 2, 11, 12], vec![false, false, false, true]),
            (2, 10, vec![0, 10, 20, 30, 31, 40], vec![false, false, false, false, false, true]),
            (0, 10, vec![0], vec![true]),
            (3, 1, vec![5, 5, 5, 5], vec![false, false, false, true]),
        ];
        for (most, per, seconds, expected) in table {
            let mut times = VecDeque::new();
            let found = seconds
                .iter()
                .map(|second| too_often(&mut times, begin + Duration::from_secs(*second), most, Duration::from_secs(per)));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{most} in {per}: {seconds:?}");
        }
    }
}
