//! All of it at once, while workers die and the pool is paused: each job has one outcome, and none runs twice.

use std::collections::HashMap;
use std::thread;

use mpm::{JobHandle, StartMethod};
use mpm_tests::{Busy, alone_with_one_thread, busy, try_kill, watchdog};

use crate::marks::{METHODS, folder, limited, mark, pid, pool, started};

/// A small generator, so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[mpm::test]
fn each_job_has_one_outcome_and_none_runs_twice() {
    let _watchdog = watchdog();
    for (method, is_loaded) in METHODS.into_iter().zip([false, true]) {
        let _load: Option<Busy> = is_loaded.then(|| busy(1));
        for round_robin in [false, true] {
            storm(&pool(3).start(method).queue(2000).round_robin(round_robin).limit_concurrency::<limited>(2).build().unwrap());
        }
    }
}

#[mpm::test]
fn the_same_where_workers_are_copies_of_this_process() {
    alone_with_one_thread("storm::the_same_where_workers_are_copies_of_this_process", || {
        for round_robin in [false, true] {
            let pool = pool(3).start(StartMethod::Fork).queue(2000).round_robin(round_robin);
            storm(&pool.limit_concurrency::<limited>(2).build().unwrap());
        }
    });
}

fn storm(pool: &mpm::Pool) {
    const JOBS: u32 = 800;
    let (_folder, marks) = folder();
    let mut dice = Dice(7);
    let mut jobs: Vec<(u32, JobHandle<u32>)> = Vec::new();
    let mut cancelled = 0;
    thread::scope(|scope| {
        let deaths = scope.spawn(|| {
            // Whichever process that is: it may be gone already.
            for _ in 0..6 {
                if let Ok(victim) = pool.run(pid::job()) {
                    try_kill(victim, libc::SIGKILL);
                }
            }
        });
        for number in 0..JOBS {
            let priority = i32::try_from(dice.below(3)).unwrap() - 1;
            let plain = mark::job(&marks, number, "");
            let job = match dice.below(6) {
                0 => pool.submit(plain).unwrap(),
                1 => pool.submit(plain.priority(priority)).unwrap(),
                2 => pool.submit(plain.key(dice.below(5)).tag("keyed")).unwrap(),
                3 => pool.submit(plain.tag("plain")).unwrap(),
                _ => pool.submit(limited::job(&marks, number, "").priority(priority).key(dice.below(5))).unwrap(),
            };
            jobs.push((number, job));
            match dice.below(60) {
                0 => pool.pause(),
                1 | 2 => pool.resume(),
                3 => cancelled += pool.cancel_tagged("keyed"),
                4 => cancelled += pool.cancel_tagged("plain"),
                5 => drop(pool.broadcast(pid::job()).unwrap()),
                6 => cancelled += usize::from(jobs[jobs.len() / 2].1.cancel()),
                _ => {}
            }
            if number % 100 == 99 {
                pool.resume();
            }
        }
        pool.resume();
        deaths.join().unwrap();
    });
    pool.join();
    let mut runs: HashMap<u32, usize> = HashMap::new();
    started(&marks).into_iter().for_each(|number| *runs.entry(number).or_default() += 1);
    let mut taken_back = 0;
    for (number, job) in jobs {
        let count = runs.remove(&number).unwrap_or_default();
        match job.wait() {
            Ok(_) => assert_eq!(count, 1, "job {number}"),
            Err(error) if error.is_cancelled() => {
                taken_back += 1;
                assert_eq!(count, 0, "job {number}: {error}");
            }
            Err(error) => assert!(error.death().is_some() && count <= 1, "job {number}: {error}"),
        }
    }
    assert_eq!((taken_back, runs.len()), (cancelled, 0));
}
