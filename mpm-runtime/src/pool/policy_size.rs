//! How many workers a pool with a range of them needs, and which ones it lets go. Decisions alone: `resize.rs` acts.

/// What there is to do, and who is there for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Jobs that nobody has begun.
    pub(super) backlog: usize,
    /// How long a job takes on average, in nanoseconds, once one has ended.
    pub(super) mean: Option<u64>,
    /// Some of the jobs have waited for longer than anybody should.
    pub(super) is_overdue: bool,
    /// Workers without a job.
    pub(super) idle: usize,
    /// Workers that will be there soon.
    pub(super) coming: usize,
    /// Workers that the pool has, those that are coming too.
    pub(super) workers: usize,
    pub(super) most: usize,
}

/// About what it costs to start a worker, in nanoseconds: less work than that is not worth one.
const START: u64 = 2_000_000;

/// How many workers so many jobs are worth that nobody has begun.
pub(super) fn worth(backlog: usize, mean: Option<u64>) -> usize {
    let Some(mean) = mean else { return backlog };
    usize::try_from(mean.saturating_mul(backlog as u64) / START).unwrap_or(usize::MAX).min(backlog)
}

/// How many workers more to start now: one for each waiting job, as far as all together are worth it. Where that is wrong, because this
/// job is not like those before it, waiting for long is reason enough.
pub(super) fn growth(demand: &Demand) -> usize {
    let &Demand { backlog, mean, is_overdue, idle, coming, workers, most } = demand;
    if backlog == 0 || idle > 0 {
        return 0;
    }
    let at_least = usize::from(is_overdue || workers == 0);
    worth(backlog, mean).max(at_least).saturating_sub(coming).min(most.saturating_sub(workers))
}

/// What a place for a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seat {
    Empty,
    /// A worker that cannot take jobs yet.
    Starting,
    /// One without a job; when it last had one.
    Idle(u64),
    /// One with this many jobs.
    Busy(usize),
}

/// Which `count` places to give up, by their positions: whoever is missed least.
pub(super) fn who_goes(seats: &[Option<Seat>], count: usize) -> Vec<usize> {
    let mut seats: Vec<_> = seats.iter().enumerate().filter_map(|(at, seat)| Some((seat.as_ref().copied()?, at))).collect();
    // Of two that are alike the last one goes.
    seats.sort_unstable_by_key(|(seat, at)| (*seat, usize::MAX - at));
    seats.into_iter().take(count).map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_grows_by_what_is_worth_a_start() {
        let full = Demand { backlog: 3, mean: None, is_overdue: false, idle: 0, coming: 0, workers: 2, most: 8 };
        let short = Demand { mean: Some(5_000), ..full };
        let long = Demand { mean: Some(1_000_000_000), ..full };
        let table = [
            (Demand { backlog: 0, ..full }, 0),
            (Demand { idle: 1, ..full }, 0),
            // Nothing is known of jobs: each may be long.
            (full, 3),
            (Demand { coming: 2, ..full }, 1),
            (Demand { backlog: 100, ..full }, 6),
            (Demand { workers: 8, ..full }, 0),
            // After a resize.
            (Demand { workers: 9, ..full }, 0),
            (short, 0),
            (Demand { backlog: 1_000, ..short }, 2),
            (Demand { backlog: usize::MAX, ..short }, 6),
            (Demand { is_overdue: true, ..short }, 1),
            (Demand { is_overdue: true, coming: 1, ..short }, 0),
            (Demand { workers: 0, ..short }, 1),
            (Demand { workers: 0, backlog: 0, ..short }, 0),
            (Demand { mean: Some(u64::MAX), ..full }, 3),
            (long, 3),
            (Demand { backlog: 1, ..long }, 1),
        ];
        for (demand, expected) in table {
            assert_eq!(growth(&demand), expected, "{demand:?}");
        }
    }

    #[test]
    fn who_is_missed_least_goes_first() {
        let seats =
            [Seat::Busy(1), Seat::Idle(9), Seat::Empty, Seat::Starting, Seat::Idle(3), Seat::Busy(0), Seat::Empty].map(Some);
        let order = [6, 2, 3, 4, 1, 5, 0];
        for count in 0..=seats.len() {
            assert_eq!(who_goes(&seats, count), order[..count], "{count}");
        }
        assert_eq!(who_goes(&[None, Some(Seat::Busy(2)), None, Some(Seat::Busy(7))], 9), [1, 3]);
    }
}
