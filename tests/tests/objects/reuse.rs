//! One object for each worker and key, for the worker's life; which one goes when there are too many.

use std::collections::{BTreeMap, BTreeSet};

use mpm::{StartMethod, worker};
use mpm_tests::{alone_with_one_thread, watchdog};
use serde::{Deserialize, Serialize};

use crate::witness::{Diary, Witness, patient};

/// Which worker each answer came from, and that each has counted its own calls without a gap.
fn counted(answers: impl IntoIterator<Item = (u32, u32)>, before: &mut BTreeMap<u32, u32>) {
    let mut all: Vec<(u32, u32)> = answers.into_iter().collect();
    all.sort_unstable();
    for (pid, calls) in all {
        let count = before.entry(pid).or_default();
        *count += 1;
        assert_eq!(calls, *count, "worker {pid} has forgotten its object");
    }
}

/// I 132.
#[mpm::test]
fn i132_state_reuse() {
    alone_with_one_thread("reuse::i132_state_reuse", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let witness = Witness::remote(&diary.file(), "a");
            assert!(diary.words().is_empty(), "it was built where it was described");
            let pool = patient().workers(2).start(method).build().unwrap();
            let mut counts = BTreeMap::new();
            for _ in 0..3 {
                let jobs = (0..100).map(|_| witness.call());
                counted(pool.map_jobs(jobs).map(Result::unwrap), &mut counts);
                // Another method, and a clone of the description, have the same object.
                let clone = witness.clone();
                let handles: Vec<_> = (0..20).map(|_| pool.submit(clone.look()).unwrap()).collect();
                for handle in handles {
                    let (pid, calls) = handle.wait().unwrap();
                    assert_eq!(calls, counts.get(&pid).copied().unwrap_or_default());
                    counts.entry(pid).or_default();
                }
            }
            let built: BTreeSet<u32> = diary.lines().into_iter().map(|(_, pid)| pid).collect();
            assert_eq!(built, counts.keys().copied().collect(), "{method}");
            assert_eq!(diary.count("built a"), counts.len(), "{method}: once for each worker");
            drop(pool);

            // Switched off: a process for each job has nothing to keep it in.
            let diary = Diary::new();
            let witness = Witness::remote(&diary.file(), "a");
            let pool = patient().workers(2).max_jobs(1).start(method).build().unwrap();
            assert!((0..6).all(|_| pool.run(witness.call()).unwrap().1 == 1), "{method}");
            assert_eq!(diary.count("built a"), 6, "{method}");
        }
    });
}

#[mpm::test]
fn each_description_is_another_object() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = patient().workers(1).build().unwrap();
    let [first, second] = [Witness::remote(&diary.file(), "same"), Witness::remote(&diary.file(), "same")];
    assert_eq!(pool.run(first.call()).unwrap().1, 1);
    assert_eq!(pool.run(second.call()).unwrap().1, 1);
    assert_eq!(pool.run(first.clone().call()).unwrap().1, 2);
    assert_eq!(diary.count("built same"), 2);
    assert_eq!(pool.run(first.say("hello")).unwrap(), "same: hello");
    assert!(format!("{first:?}").starts_with("WitnessRemote(objects::witness::Witness "), "{first:?}");
    assert_ne!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(format!("{:?}", first.call()), "Job(objects::witness::Witness::call)");
}

#[mpm::test]
fn what_was_not_used_for_longest_goes_first() {
    alone_with_one_thread("reuse::what_was_not_used_for_longest_goes_first", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = patient().workers(1).objects(2).start(method).build().unwrap();
            let [a, b, c] = ["a", "b", "c"].map(|name| Witness::remote(&diary.file(), name));
            for witness in [&a, &b, &a, &c, &a, &b] {
                pool.run(witness.call()).unwrap();
            }
            assert_eq!(diary.words(), ["built a", "built b", "dropped b", "built c", "dropped c", "built b"], "{method}");
            assert_eq!(pool.run(a.call()).unwrap().1, 4);
            pool.join();
            assert_eq!(diary.words()[6..], ["dropped b", "dropped a"], "{method}");
        }
    });
}

#[mpm::test]
fn sixteen_are_kept_where_nobody_says_it() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = patient().workers(1).build().unwrap();
    let all: Vec<_> = (0..17).map(|n| Witness::remote(&diary.file(), &n.to_string())).collect();
    for _ in 0..2 {
        for witness in &all[..16] {
            pool.run(witness.call()).unwrap();
        }
    }
    assert_eq!(diary.lines().len(), 16);
    pool.run(all[16].call()).unwrap();
    assert_eq!(diary.words()[16..], ["dropped 0", "built 16"]);
    assert!(patient().objects(0).build().unwrap_err().is_setting());
}

/// Two objects that take each other's place with every job, also where jobs travel together.
#[mpm::test]
fn objects_that_push_each_other_out() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = patient().workers(1).objects(1).build().unwrap();
    let both = ["a", "b"].map(|name| Witness::remote(&diary.file(), name));
    let jobs = (0..2000).map(|n| both[n % 2].call());
    assert!(pool.map_jobs(jobs).all(|answer| answer.unwrap().1 == 1));
    assert_eq!((diary.count("built a"), diary.count("built b")), (1000, 1000));
    pool.join();
    assert_eq!((diary.count("dropped a"), diary.count("dropped b")), (1000, 1000));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Table(Vec<u32>);

struct Lookup(Vec<u8>, Table);

#[worker]
impl Lookup {
    fn new(bytes: &[u8], table: Table) -> Self {
        Lookup(bytes.to_vec(), table)
    }

    fn at(&self, at: usize) -> (u8, u32) {
        (self.0[at], self.1.0[at])
    }

    fn whole(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// A constructor's arguments travel with each job, whatever their size.
#[mpm::test]
fn large_arguments_of_a_constructor() {
    let _guard = watchdog();
    let pool = patient().workers(2).build().unwrap();
    for len in [3000, 5000, 100_000, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|n: usize| (n % 251) as u8).collect();
        let lookup = Lookup::remote(&bytes, Table((0..len as u32).collect()));
        for at in [0, len / 2, len - 1] {
            assert_eq!(pool.run(lookup.at(at)).unwrap(), (bytes[at], at as u32));
        }
        let all: Vec<_> = pool.map_jobs((0..50).map(|at| lookup.at(at))).map(Result::unwrap).collect();
        assert_eq!(all, (0..50).map(|at| (bytes[at], at as u32)).collect::<Vec<_>>());
        assert!(pool.run(lookup.whole()).unwrap() == bytes);
    }
}

/// `map_jobs` is lazy and keeps the order.
#[mpm::test]
fn jobs_of_methods_in_order() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = patient().workers(2).build().unwrap();
    let witness = Witness::remote(&diary.file(), "w");
    let texts: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
    let said: Result<Vec<_>, _> = pool.map_jobs(texts.iter().map(|text| witness.say(text))).collect();
    assert_eq!(said.unwrap(), (0..3000).map(|n| format!("w: {n}")).collect::<Vec<_>>());
    let mut taken = 0;
    let endless = std::iter::repeat_with(|| witness.say("again")).inspect(|_| taken += 1);
    assert!(pool.map_jobs(endless).look_ahead(5).take(3).all(|said| said.unwrap() == "w: again"));
    assert!(taken <= 8, "{taken} jobs were taken for three answers");
}
