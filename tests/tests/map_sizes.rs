//! What short jobs of a `map` carry when they travel several in a request: nothing, a few bytes, much, or what cannot travel; and how many
//! of them are ahead.

use std::cell::Cell;

use mpm::{JobError, Pool, worker};
use mpm_tests::watchdog;
use serde::{Deserialize, Serialize, Serializer};

/// A number that does not travel if it is odd, and not back if it can be divided by 6.
#[derive(Debug, PartialEq, Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 1 { Err(serde::ser::Error::custom("an odd one")) } else { to.serialize_newtype_struct("Even", &self.0) }
    }
}

#[worker]
fn pass_on(n: Even) -> Even {
    if n.0 % 100 == 6 { Even(1) } else { n }
}

#[mpm::test]
fn what_cannot_travel_is_an_error_in_its_place() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).build().unwrap();
    for (outcome, n) in pool.map::<pass_on>((0..5_000).map(Even)).zip(0..) {
        match (outcome, n % 100) {
            (Err(JobError::Encode(error)), 1) => assert!(error.reason.contains("an odd one") && !error.in_worker, "{error}"),
            (Err(JobError::Encode(error)), 6) => assert!(error.reason.contains("an odd one") && error.in_worker, "{error}"),
            (Ok(value), rest) if rest != 1 && rest != 6 => assert_eq!(value, Even(n)),
            (outcome, _) => panic!("{n}: {outcome:?}"),
        }
    }
}

#[worker]
fn doubled(bytes: &[u8]) -> Vec<u8> {
    [bytes, bytes].concat()
}

#[worker]
fn nothing() {}

#[mpm::test]
fn arguments_and_results_of_all_sizes_are_mixed() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).build().unwrap();
    let size = |n: usize| match n % 50 {
        10 => 1_900,
        20 => 3_000,
        30 => 30_000,
        40 => 300_000,
        small => small % 4,
    };
    let inputs: Vec<Vec<u8>> = (0..3_000).map(|n| vec![(n % 251) as u8; size(n)]).collect();
    for (outcome, input) in pool.map::<doubled>(inputs.iter().map(Vec::as_slice)).zip(&inputs) {
        assert_eq!(outcome.unwrap(), [input.as_slice(), input].concat());
    }
    assert_eq!(pool.map::<nothing>((0..5_000).map(|_| ())).map(Result::unwrap).count(), 5_000);
}

/// From a few bytes, so many that they take a way of their own.
#[worker]
fn zeros(count: usize) -> Vec<u8> {
    vec![0; count]
}

#[mpm::test]
fn large_results_of_short_jobs_arrive() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).build().unwrap();
    let count = |n: usize| {
        if n % 40 == 39 {
            40_000
        } else if n.is_multiple_of(5) {
            2_000
        } else {
            n % 10
        }
    };
    for (outcome, n) in pool.map::<zeros>((0..6_000).map(count)).zip(0..) {
        assert_eq!(outcome.unwrap().len(), count(n));
    }
}

#[mpm::test]
fn the_look_ahead_that_was_asked_for_is_kept() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).build().unwrap();
    for ahead in [1, 5, 100, 1_000] {
        let taken = Cell::new(0);
        let inputs = (0..10_000).inspect(|_| taken.set(taken.get() + 1));
        for (outcome, n) in pool.map::<zeros>(inputs).look_ahead(ahead).zip(1..) {
            outcome.unwrap();
            assert!(taken.get() < n + ahead, "{} taken for {n}, {ahead} ahead", taken.get());
        }
    }
}

#[mpm::test]
fn inputs_that_panic_cost_no_job_before_them() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).build().unwrap();
    let inputs = (0..).inspect(|n| assert!(*n != 2_000, "no more inputs"));
    let mut outcomes = pool.map::<zeros>(inputs);
    let mut got = 0;
    loop {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outcomes.next())) {
            Ok(outcome) => assert_eq!(outcome.unwrap().unwrap().len(), got),
            Err(_) => break,
        }
        got += 1;
    }
    for n in got..2_000 {
        assert_eq!(outcomes.next().unwrap().unwrap().len(), n);
    }
}

#[mpm::test]
fn a_pool_that_replaces_its_workers_maps_too() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).max_jobs(500).build().unwrap();
    for (outcome, n) in pool.map::<zeros>(0..3_000).zip(0..) {
        assert_eq!(outcome.unwrap().len(), n);
    }
}
