//! Methods that panic: the object is gone and is built anew, unless it is to be kept; and panics where nobody expects them.

use std::path::{Path, PathBuf};

use mpm::{JobError, StartMethod, worker};
use mpm_tests::{alone_with_one_thread, watchdog};
use serde::{Deserialize, Serialize, Serializer};

use crate::witness::{Diary, Witness, note, patient};

#[mpm::test]
fn a_panic_costs_the_object() {
    alone_with_one_thread("panics::a_panic_costs_the_object", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = patient().workers(1).start(method).build().unwrap();
            let [witness, other] = ["w", "other"].map(|name| Witness::remote(&diary.file(), name));
            let (pid, _) = pool.run(witness.call()).unwrap();
            pool.run(other.call()).unwrap();
            let JobError::Panicked(panicked) = pool.run(witness.fail("it broke")).unwrap_err() else { panic!("no panic") };
            assert_eq!((panicked.message.as_str(), panicked.pid), ("it broke", pid), "{method}");
            assert!(panicked.location.is_some_and(|place| place.contains("witness.rs:")));
            assert_eq!(diary.words(), ["built w", "built other", "dropped w"], "{method}");
            assert_eq!(pool.run(witness.call()).unwrap(), (pid, 1), "{method}: built anew, in the same worker");
            assert_eq!(pool.run(other.call()).unwrap(), (pid, 2), "{method}: the other one is as it was");
        }
    });
}

/// An object that is kept whatever happens.
struct Tough(u32);

#[worker(on_panic = "keep")]
impl Tough {
    fn new() -> Self {
        Tough(0)
    }

    fn count(&mut self, fails: bool) -> u32 {
        self.0 += 1;
        assert!(!fails, "on purpose");
        self.0
    }
}

#[mpm::test]
fn kept_on_purpose() {
    let _guard = watchdog();
    let pool = patient().workers(1).build().unwrap();
    let tough = Tough::remote();
    assert_eq!(pool.run(tough.count(false)).unwrap(), 1);
    assert!(pool.run(tough.count(true)).unwrap_err().is_panicked());
    assert_eq!(pool.run(tough.count(false)).unwrap(), 3);
    // Where jobs travel together as well.
    let outcomes: Vec<_> = pool.map_jobs((0..1000).map(|n| tough.count(n % 7 == 0))).collect();
    for (n, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(count) => assert_eq!(count, n + 4),
            Err(error) => assert!(n % 7 == 0 && error.is_panicked()),
        }
    }
}

#[mpm::test]
fn panics_in_a_chunk() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = patient().workers(1).build().unwrap();
    let witness = Witness::remote(&diary.file(), "w");
    // Of one target, so that they travel together.
    let bombs = Bombs::remote(&diary.file());
    let mut since = 0;
    for (n, outcome) in (0..1000).zip(pool.map_jobs((0..1000).map(|n| bombs.tick(n % 50 == 49)))) {
        if n % 50 == 49 {
            assert!(outcome.unwrap_err().is_panicked());
            since = 0;
        } else {
            since += 1;
            assert_eq!(outcome.unwrap(), since);
        }
    }
    assert_eq!((diary.count("built"), diary.count("dropped")), (20, 20));
    assert_eq!(pool.run(witness.call()).unwrap().1, 1);
}

/// Counts since it was built; its drop panics too.
struct Bombs(PathBuf, u32);

#[worker]
impl Bombs {
    fn new(diary: &Path) -> Self {
        note(diary, "built");
        Bombs(diary.to_owned(), 0)
    }

    fn tick(&mut self, goes_off: bool) -> u32 {
        self.1 += 1;
        assert!(!goes_off, "it went off");
        self.1
    }
}

impl Drop for Bombs {
    fn drop(&mut self) {
        note(&self.0, "dropped");
        panic!("once more in the drop");
    }
}

#[mpm::test]
fn a_drop_that_panics_too() {
    alone_with_one_thread("panics::a_drop_that_panics_too", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = patient().workers(1).objects(1).start(method).build().unwrap();
            let [bombs, others] = [Bombs::remote(&diary.file()), Bombs::remote(&diary.file())];
            assert_eq!(pool.run(bombs.tick(false)).unwrap(), 1);
            // After a panic in a method: what is told is the method's.
            let JobError::Panicked(panicked) = pool.run(bombs.tick(true)).unwrap_err() else { panic!("no panic") };
            assert_eq!(panicked.message, "it went off");
            assert_eq!(pool.run(bombs.tick(false)).unwrap(), 1);
            // When another one needs the place.
            let pid = pool.submit(others.tick(false)).unwrap();
            mpm::wait_all(std::slice::from_ref(&pid));
            assert_eq!(pid.report().pid, Some(panicked.pid), "{method}: the same worker goes on");
            assert_eq!(pid.wait().unwrap(), 1);
            // And at the end.
            pool.join();
            assert_eq!((diary.count("built"), diary.count("dropped")), (3, 3), "{method}");
        }
    });
}

/// A result whose drop panics, or whose encoding does.
#[derive(Deserialize)]
struct Spiteful(bool);

impl Serialize for Spiteful {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0, "not to be encoded");
        serializer.serialize_bool(self.0)
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        assert!(!IN_WORKER.get() || std::thread::panicking(), "not to be dropped");
    }
}

thread_local! {
    static IN_WORKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

struct Giver(u32);

#[worker]
impl Giver {
    fn new() -> Self {
        IN_WORKER.set(true);
        Giver(0)
    }

    fn give(&mut self, encodes: bool) -> Spiteful {
        self.0 += 1;
        Spiteful(encodes)
    }

    fn take(&mut self, text: &str) -> (usize, u32) {
        (text.len(), self.0)
    }
}

/// What comes after the method has returned is no fault of the object's.
#[mpm::test]
fn results_that_panic() {
    let _guard = watchdog();
    let pool = patient().workers(1).build().unwrap();
    let giver = Giver::remote();
    for n in 1..=5 {
        assert!(pool.run(giver.give(true)).is_ok(), "the value was on its way");
        assert_eq!(pool.run(giver.take("abc")).unwrap(), (3, 2 * n - 1));
        assert!(pool.run(giver.give(false)).is_err_and(|error| error.is_panicked()));
        assert_eq!(pool.run(giver.take("")).unwrap(), (0, 2 * n), "the object was kept");
    }
}
