//! Whether a worker stands still: what is seen of it at each look, and what that means. Decisions alone: `watch.rs` looks and acts.
//!
//! | its oldest job | its process | for as long as it may | it is |
//! |---|---|---|---|
//! | is not taken | runs, sleeps, or is stopped | | wedged |
//! | runs | is stopped by a signal | | stopped |
//! | any | is traced by a debugger | | fine |
//!
//! Only time counts in which somebody looked: a machine that was asleep has kept nobody waiting.

use std::time::Duration;

/// What is known of a worker that has jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its oldest job, and whether it has taken that.
    job: Option<(u32, bool)>,
    /// How long that has been so.
    lasts: Duration,
    /// From when on, of that, it was found stopped.
    stopped_at: Option<Duration>,
}

/// What is wrong with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It does not take the job that it has been given.
    Wedged,
    /// A signal has stopped it in the middle of a job.
    Stopped,
}

/// How often its state is looked at, in the time that it may stand still.
const LOOKS: u32 = 4;

/// The time between two looks where more than standing still is looked for: short beside what anybody waits for, and long beside what
/// a look costs, some ten microseconds for a worker. In that time a process can take some hundred MiB of memory beyond a hard limit.
const OFTEN: Duration = Duration::from_millis(100);
/// The longest time.
const SELDOM: Duration = Duration::from_secs(1);

/// How long it is from one look to the next.
pub(super) fn look_every(unresponsive: Option<Duration>, looks_for_more: bool) -> Duration {
    match unresponsive {
        Some(limit) if !looks_for_more => (limit / (2 * LOOKS)).clamp(OFTEN, SELDOM),
        _ => OFTEN,
    }
}

impl Seen {
    /// A look, so long after the one before: its oldest job has this number. Whether the state of its process matters now.
    pub(super) fn look(&mut self, number: u32, is_taken: bool, passed: Duration, limit: Duration) -> bool {
        if self.job != Some((number, is_taken)) {
            *self = Self { job: Some((number, is_taken)), ..Self::default() };
            return false;
        }
        let part = (limit / LOOKS).max(Duration::from_nanos(1)).as_nanos();
        let before = self.lasts.as_nanos() / part;
        self.lasts = self.lasts.saturating_add(passed);
        self.lasts.as_nanos() / part > before
    }

    /// What the state of its process means, a letter of proc_pid_stat(5).
    pub(super) fn judge(&mut self, state: Option<char>, limit: Duration) -> Option<Stands> {
        let is_taken = self.job.is_some_and(|(_, is_taken)| is_taken);
        match state {
            Some('t') => *self = Self::default(),
            _ if !is_taken => return (self.lasts >= limit).then_some(Stands::Wedged),
            Some('T') => {
                let since = *self.stopped_at.get_or_insert(self.lasts);
                return (self.lasts.saturating_sub(since) >= limit).then_some(Stands::Stopped);
            }
            _ => self.stopped_at = None,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);
    const SECOND: Duration = Duration::from_secs(1);

    /// At which second a worker is found wanting whose oldest job and state are so at each second.
    fn found(limit: Duration, at: impl Fn(u64) -> (u32, bool, char)) -> Option<(u64, Stands)> {
        let mut seen = Seen::default();
        (0..40).find_map(|second| {
            let (number, is_taken, state) = at(second);
            let asks = seen.look(number, is_taken, SECOND, limit);
            let stands = if asks { seen.judge(Some(state), limit) } else { None };
            stands.map(|stands| (second, stands))
        })
    }

    #[test]
    fn a_worker_that_stands_still_is_found_in_time_and_no_other() {
        assert_eq!(found(LIMIT, |_| (7, false, 'S')), Some((8, Stands::Wedged)));
        assert_eq!(found(LIMIT, |_| (7, false, 'T')), Some((8, Stands::Wedged)));
        assert_eq!(found(LIMIT, |_| (7, false, 't')), None, "it is being debugged");
        assert_eq!(found(LIMIT, |second| (second as u32 / 7, false, 'R')), None, "it takes one job after the other");
        assert_eq!(found(LIMIT, |_| (7, true, 'R')), None, "it works");
        assert_eq!(found(LIMIT, |_| (7, true, 'S')), None, "it waits for something");
        assert_eq!(found(LIMIT, |_| (7, true, 'D')), None);
        assert_eq!(found(LIMIT, |_| (7, true, 't')), None);
        assert_eq!(found(LIMIT, |_| (7, true, 'T')), Some((10, Stands::Stopped)));
        assert_eq!(found(LIMIT, |second| (7, true, if second < 9 { 'R' } else { 'T' })), Some((18, Stands::Stopped)));
        assert_eq!(found(LIMIT, |second| (7, true, if second % 8 < 5 { 'T' } else { 'R' })), None, "it goes on now and then");
        assert_eq!(found(LIMIT, |second| (7, second >= 7, 'S')), None, "late, and taken");
    }

    #[test]
    fn looks_are_seldom_where_nothing_can_happen_soon() {
        let table =
            [(Some(10), false, 1_000), (Some(4), false, 500), (Some(0), false, 100), (Some(10), true, 100), (None, true, 100)];
        for (limit, looks_for_more, expected) in table {
            let every = look_every(limit.map(Duration::from_secs), looks_for_more);
            assert_eq!(every, Duration::from_millis(expected), "{limit:?} {looks_for_more}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_time_work() {
        assert_eq!(found(Duration::from_nanos(1), |_| (7, false, 'S')), Some((1, Stands::Wedged)));
        assert_eq!(found(Duration::MAX, |_| (7, false, 'T')), None);
        assert_eq!(found(Duration::MAX, |_| (7, true, 'T')), None);
    }
}
