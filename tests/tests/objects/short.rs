//! The short form: a struct with one method and a constructor without arguments.

use std::collections::BTreeMap;
use std::process;

use mpm::{Pool, Process, Remote, StartMethod, Target, Worker, worker};
use mpm_tests::{alone_with_one_thread, watchdog};

/// Counts what it is given. Panics at nothing.
#[worker(name = "counting")]
#[derive(Default)]
struct Counter {
    seen: u64,
}

impl Worker for Counter {
    type Args = (String, u64);
    type Output = Result<(u32, u64), String>;

    fn run(&mut self, (text, by): Self::Args) -> Self::Output {
        assert!(by > 0, "nothing to count");
        if text.is_empty() {
            return Err("no text".to_owned());
        }
        self.seen += by;
        Ok((process::id(), self.seen))
    }
}

/// Another one, whose object is another one too.
#[worker(on_panic = "keep", timeout = "60s", retries = 2)]
#[derive(Default)]
pub(crate) struct Tough(u32);

impl Worker for Tough {
    type Args = bool;
    type Output = u32;

    fn run(&mut self, fails: bool) -> u32 {
        self.0 += 1;
        assert!(!fails, "on purpose");
        self.0
    }
}

#[worker]
#[derive(Default)]
struct Nothing;

impl Worker for Nothing {
    type Args = ();
    type Output = ();

    fn run(&mut self, (): ()) {}
}

#[mpm::test]
fn a_struct_is_kept_by_each_worker() {
    alone_with_one_thread("short::a_struct_is_kept_by_each_worker", || {
        for method in StartMethod::ALL {
            let pool = Pool::builder().workers(2).start(method).build().unwrap();
            let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
            for _ in 0..3 {
                let inputs = (0..200).map(|n| (n.to_string(), 1));
                let mut answers: Vec<_> = pool.map::<Counter>(inputs).map(|answer| answer.unwrap().unwrap()).collect();
                answers.sort_unstable();
                for (pid, seen) in answers {
                    let count = counts.entry(pid).or_default();
                    *count += 1;
                    assert_eq!(seen, *count, "{method}");
                }
            }
            assert_eq!(counts.values().sum::<u64>(), 600);
        }
    });
}

#[mpm::test]
fn jobs_of_a_struct() {
    let _guard = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(Counter::NAME, "counting");
    assert_eq!(Tough::NAME, "objects::short::Tough");
    let count = |text: &str, by| pool.run(Counter::job((text.to_owned(), by)));
    assert_eq!(count("a", 2).unwrap().unwrap().1, 2);
    assert_eq!(count("", 2).unwrap(), Err("no text".to_owned()));
    assert_eq!(count("a", 3).unwrap().unwrap().1, 5);
    assert!(count("a", 0).unwrap_err().is_panicked());
    assert_eq!(count("a", 1).unwrap().unwrap().1, 1, "built anew");
    assert_eq!(pool.run(Tough::job(false)).unwrap(), 1);
    assert!(pool.run(Tough::job(true)).unwrap_err().is_panicked());
    assert_eq!(pool.submit(Tough::job(false)).unwrap().wait().unwrap(), 3, "kept");
    pool.run(Nothing::job(())).unwrap();
    assert_eq!(pool.map_unordered::<Nothing>([(); 10]).filter(|(_, outcome)| outcome.is_ok()).count(), 10);
    assert_eq!(Process::builder(Tough::job(false)).start().unwrap().wait().unwrap(), 1);
    assert_eq!(
        format!("{:?} {:?}", Tough::job(true), Tough::remote().clone()),
        "Job(objects::short::Tough) OwnRemote(objects::short::Tough)"
    );
    fn is_remote(_: &impl Remote) {}
    is_remote(&Counter::remote());
}
