//! Decisions as pure functions: what to do after a failed start, how far to look ahead. The supervisor alone acts.

use std::time::Duration;

use crate::link::MOST_ITEMS;

/// What to do about a member that could not be started, or died before it did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailedStart {
    /// Try again after this time.
    RetryAfter(Duration),
    /// The pool fails.
    GiveUp,
}

/// How a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailedStart {
    /// Another try can go better.
    Passing,
    /// The worker itself refused; another one of the same program will refuse too.
    Lasting,
    /// It was ready, and died without a job: by somebody's kill, or of itself; `early` if that was soon.
    WasReady { early: bool },
}

/// Failed starts in a row after which a pool without a worker gives up.
const LIMIT: u32 = 5;
/// Early deaths of ready workers in a row after which it does: more, since kills from outside look the same.
const EARLY_LIMIT: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// `count` in a row, this one included, `in_slot` of them for the same place; `promising` other members are ready, busy or starting.
pub(super) fn after_failed_start(kind: FailedStart, count: u32, in_slot: u32, promising: usize) -> AfterFailedStart {
    let hopeless = match kind {
        FailedStart::Lasting => true,
        FailedStart::Passing => count >= LIMIT,
        FailedStart::WasReady { .. } => count >= EARLY_LIMIT,
    };
    if promising == 0 && hopeless {
        return AfterFailedStart::GiveUp;
    }
    // The first may be chance: it costs no time.
    let wait = in_slot.checked_sub(2).map_or(Duration::ZERO, |doublings| FIRST_WAIT.saturating_mul(1 << doublings.min(16)));
    AfterFailedStart::RetryAfter(wait.min(LONGEST_WAIT))
}

/// How many jobs a member may have at once, given how long jobs take on average, in nanoseconds; `None` before the first
/// has returned. More than one hides the hand-over behind the job before, and is worth it only where that is a large part
/// of a job's time: what waits at one member cannot start at another without being taken back first.
pub(super) fn look_ahead(average: Option<u64>) -> u32 {
    match average {
        None | Some(2_000_000..) => 1,
        // About a fifth of a millisecond's work.
        Some(average) => u32::try_from(2 + 200_000 / average.max(1)).unwrap_or(u32::MAX).min(512),
    }
}

/// How long a job is short, in nanoseconds: about as long as a sleep and a wake-up.
const SHORT: u64 = 20_000;

/// Whether jobs are short that take so long on average.
pub(super) fn is_short(average: Option<u64>) -> bool {
    average.is_some_and(|average| average < SHORT)
}

/// Whether a job goes to a worker that has some already, rather than to an idle one: where jobs are short and `at_work` workers have the
/// CPUs, an idle one has to be woken, takes a CPU from another, and all that for one job.
pub(super) fn stays(average: Option<u64>, at_work: usize, cpus: usize) -> bool {
    is_short(average) && at_work >= cpus
}

/// How long jobs may stay behind one that may be a long one, while a worker is idle. Five times as long as what is looked ahead should
/// take, so that few are taken for stuck that only have to wait for a CPU; and long beside the supervisor's turn that looks.
pub(super) const LOOK_AFTER: Duration = Duration::from_millis(1);

/// Whether a worker is stuck that has done so many jobs now, and had `seen` at the last look, if it had one to do then: it had the same
/// job in front.
pub(super) fn is_stuck(seen: Option<u64>, done: u64, has_jobs: bool) -> bool {
    has_jobs && seen == Some(done)
}

/// How many responses after the next one may come before somebody has to look, of a worker with so many jobs in flight: none
/// where jobs are not short, or somebody waits for one of these; half of them where more jobs wait for room; else all.
pub(super) fn due(average: Option<u64>, is_watched: bool, is_waited_for: bool, in_flight: u32) -> u32 {
    if is_watched || average.is_none_or(|average| average >= SHORT) {
        return 0;
    }
    if is_waited_for { in_flight / 2 } else { in_flight.saturating_sub(1) }
}

/// Longer jobs, in nanoseconds, take longer than anybody looks.
const WORTH_A_SPIN: u64 = 50_000;

/// Whether a thread that waits for a job shall look for the response by itself for a moment before it sleeps: only where
/// jobs are about as short as a sleep and a wake-up, and where that takes no CPU from a worker.
pub(super) fn worth_a_spin(average: Option<u64>, busy: usize, cpus: usize) -> bool {
    average.is_some_and(|average| average < WORTH_A_SPIN) && busy < cpus
}

/// How long the jobs of one chunk take together, in nanoseconds: long beside its hand-over, some microseconds.
const CHUNK: u64 = 100_000;
/// Chunks that a worker has ahead where nobody says otherwise.
const CHUNKS: usize = 4;
/// Jobs that a worker has ahead at most where nobody says otherwise.
const MOST_AHEAD: usize = 4096;

/// How many jobs of `map` travel together that take so long on average, in nanoseconds, where so many may be ahead of the consumer:
/// each worker is to have several chunks, so that none waits for another one's last job.
pub(super) fn chunk_size(average: u64, ahead: usize, workers: usize) -> usize {
    if average >= SHORT {
        return 1;
    }
    let by_time = usize::try_from(CHUNK / average.max(1)).unwrap_or(usize::MAX);
    let share = ahead / workers.saturating_mul(CHUNKS).max(1);
    by_time.min(share).clamp(1, MOST_ITEMS as usize)
}

/// How many jobs of `map` that take so long may be ahead of the consumer where nobody says otherwise.
pub(super) fn map_ahead(average: u64, workers: usize) -> usize {
    let by_time = usize::try_from(CHUNK / average.max(1)).unwrap_or(usize::MAX).saturating_mul(CHUNKS);
    by_time.min(MOST_AHEAD).saturating_mul(workers)
}

/// A moving average over about the last eight values.
pub(super) fn average(before: Option<u64>, value: u64) -> u64 {
    before.map_or(value, |before| before - before / 8 + value / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_workers_gives_up_at_the_limit_and_one_with_workers_goes_on() {
        let wait = |ms| AfterFailedStart::RetryAfter(Duration::from_millis(ms));
        let table = [
            (FailedStart::Passing, 1, 0, wait(0)),
            (FailedStart::Passing, 2, 0, wait(50)),
            (FailedStart::Passing, 4, 0, wait(200)),
            (FailedStart::Passing, 5, 0, AfterFailedStart::GiveUp),
            (FailedStart::Passing, 5, 1, wait(400)),
            (FailedStart::Passing, 1000, 1, wait(5000)),
            (FailedStart::Lasting, 1, 0, AfterFailedStart::GiveUp),
            (FailedStart::Lasting, 2, 1, wait(50)),
            (FailedStart::WasReady { early: false }, 0, 0, wait(0)),
            (FailedStart::WasReady { early: true }, 1, 0, wait(0)),
            (FailedStart::WasReady { early: true }, 19, 0, wait(5000)),
            (FailedStart::WasReady { early: true }, 20, 0, AfterFailedStart::GiveUp),
            (FailedStart::WasReady { early: true }, 20, 1, wait(5000)),
        ];
        for (kind, count, promising, expected) in table {
            assert_eq!(after_failed_start(kind, count, count, promising), expected, "{kind:?} {count} {promising}");
        }
    }

    #[test]
    fn short_jobs_are_looked_ahead_far_and_long_ones_not() {
        let table = [(None, 1), (Some(0), 512), (Some(400), 502), (Some(20_000), 12), (Some(1_999_999), 2), (Some(u64::MAX), 1)];
        for (average, expected) in table {
            assert_eq!(look_ahead(average), expected, "{average:?}");
        }
    }

    #[test]
    fn short_jobs_stay_with_as_many_workers_as_there_are_cpus() {
        let table = [
            (None, 2, 2, false),
            (Some(400), 0, 1, false),
            (Some(400), 1, 2, false),
            (Some(400), 2, 2, true),
            (Some(19_999), 3, 2, true),
            (Some(20_000), 64, 2, false),
        ];
        for (average, at_work, cpus, expected) in table {
            assert_eq!(stays(average, at_work, cpus), expected, "{average:?} {at_work} {cpus}");
        }
    }

    #[test]
    fn a_worker_is_stuck_that_has_the_same_job_as_at_the_last_look() {
        let table = [
            (None, 0, true, false),
            (None, 7, true, false),
            (Some(7), 7, true, true),
            (Some(7), 8, true, false),
            (Some(7), 7, false, false),
        ];
        for (seen, done, has_jobs, expected) in table {
            assert_eq!(is_stuck(seen, done, has_jobs), expected, "{seen:?} {done} {has_jobs}");
        }
    }

    #[test]
    fn a_look_is_due_at_once_or_when_short_jobs_run_out() {
        let table = [
            (None, false, false, 8, 0),
            (Some(100), false, false, 8, 7),
            (Some(100), false, true, 8, 4),
            (Some(100), true, true, 8, 0),
            (Some(20_000), false, true, 8, 0),
            (Some(100), false, false, 1, 0),
        ];
        for (average, is_watched, is_waited_for, in_flight, expected) in table {
            assert_eq!(due(average, is_watched, is_waited_for, in_flight), expected, "{average:?} {is_watched} {is_waited_for}");
        }
    }

    #[test]
    fn a_waiter_spins_for_short_jobs_on_a_free_cpu_only() {
        let table = [
            (None, 1, 2, false),
            (Some(100), 1, 2, true),
            (Some(100), 2, 2, false),
            (Some(100), 1, 1, false),
            (Some(50_000), 1, 8, false),
        ];
        for (average, busy, cpus, expected) in table {
            assert_eq!(worth_a_spin(average, busy, cpus), expected, "{average:?} {busy} {cpus}");
        }
    }

    #[test]
    fn short_jobs_travel_together_and_leave_some_for_each_worker() {
        let table = [
            (0, 2, 8192, 1024),
            (100, 2, 8000, 1000),
            (1_000, 2, 800, 100),
            (10_000, 2, 128, 10),
            (19_999, 2, 128, 5),
            (20_000, 2, 128, 1),
            (u64::MAX, 2, 128, 1),
        ];
        for (average, workers, ahead, size) in table {
            assert_eq!(map_ahead(average, workers).max(64 * workers), ahead, "{average}");
            assert_eq!(chunk_size(average, ahead, workers), size, "{average}");
        }
        // What the user allows.
        let table = [(1, 2, 1), (16, 2, 2), (100, 2, 12), (100, 64, 1), (1, 4096, 1)];
        for (ahead, workers, size) in table {
            assert_eq!(chunk_size(100, ahead, workers), size, "{ahead} {workers}");
        }
    }

    #[test]
    fn the_average_follows_the_values() {
        let settled = (0..100).fold(None, |before, _| Some(average(before, 800)));
        assert!(settled.is_some_and(|a| (700..=800).contains(&a)), "{settled:?}");
        assert_eq!(average(None, 5), 5);
    }
}
