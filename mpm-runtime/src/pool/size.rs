//! How many workers a pool has: a number, or a range.

use std::ops::RangeInclusive;

use crate::error::{Error, Kind, Result};

/// The most workers that a pool may have.
pub(super) const MOST_WORKERS: usize = 4096;

/// How many workers a pool has: always so many, or as many as it needs, within a range.
///
/// It is made from either: [`workers(4)`](crate::Builder::workers), [`resize(1..=8)`](crate::Pool::resize).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCount(RangeInclusive<usize>);

impl From<usize> for WorkerCount {
    fn from(count: usize) -> Self {
        Self(count..=count)
    }
}

impl From<RangeInclusive<usize>> for WorkerCount {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self(range)
    }
}

/// How many workers a pool has at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Size {
    pub(super) const fn fixed(count: usize) -> Self {
        Self { least: count, most: count }
    }

    /// The size that was asked for by `whose` call, for a pool whose jobs go to the workers in turn or do not.
    pub(super) fn checked(whose: &str, WorkerCount(range): WorkerCount, in_turn: bool) -> Result<Self> {
        let (least, most) = range.into_inner();
        let asked = if least == most { format!("{most}") } else { format!("{least}..={most}") };
        let refuse = |text: &str| Err(Error::new(Kind::Setting, format!("{whose}({asked}): {text}")));
        let size = Self { least, most };
        if least > most {
            refuse("the range has no number in it: the smaller one comes first")
        } else if !(1..=MOST_WORKERS).contains(&most) {
            refuse(&format!("a pool has from 1 to {MOST_WORKERS} workers"))
        } else if in_turn && size.is_range() {
            // A job in turn waits for its worker and is not what a pool grows with; and whose turn it is would be a matter of chance.
            refuse("a pool with round_robin has a fixed number of workers")
        } else {
            Ok(size)
        }
    }

    /// Whether the pool has more or fewer workers as it needs them.
    pub(super) fn is_range(self) -> bool {
        self.least < self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_some_workers_and_not_too_many() {
        let size = |count: WorkerCount| Size::checked("Builder::workers", count, false).map_err(|error| error.to_string());
        assert_eq!(size(3.into()), Ok(Size { least: 3, most: 3 }));
        assert_eq!(size((0..=4096).into()), Ok(Size { least: 0, most: 4096 }));
        assert!(!Size::fixed(3).is_range() && size((0..=1).into()).is_ok_and(Size::is_range));
        let refused = [
            (WorkerCount::from(0), "Builder::workers(0):"),
            (WorkerCount::from(4097), "Builder::workers(4097):"),
            (WorkerCount::from(0..=0), "Builder::workers(0):"),
            (WorkerCount::from(1..=4097), "Builder::workers(1..=4097):"),
        ];
        for (count, words) in refused {
            let error = size(count).unwrap_err();
            assert!(error.starts_with(words) && error.contains("from 1 to 4096"), "{error}");
        }
        let error = size(RangeInclusive::new(3, 2).into()).unwrap_err();
        assert_eq!(error, "Builder::workers(3..=2): the range has no number in it: the smaller one comes first");
    }

    #[test]
    fn a_pool_with_turns_has_a_fixed_number_of_workers() {
        let size = |count: WorkerCount| Size::checked("Pool::resize", count, true).map_err(|error| error.to_string());
        assert_eq!((size(3.into()), size((2..=2).into())), (Ok(Size::fixed(3)), Ok(Size::fixed(2))));
        let refused =
            [(1..=4, "Pool::resize(1..=4): a pool with round_robin"), (1..=4097, "Pool::resize(1..=4097): a pool has from")];
        for (range, words) in refused {
            let error = size(range.into()).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
