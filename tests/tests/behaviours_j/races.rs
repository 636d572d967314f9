//! Behaviour 150: who submits while the pool ends, or is replaced by another one with other settings, loses no job.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod};

use crate::ENDS;
use crate::jobs::worker_counts;
use crate::pools::{build, double};

conform!(j150_submitting_while_the_pool_ends, j150_submit_races_with_replace, j150_submit_races_with_new_settings,);

fn j150_submitting_while_the_pool_ends(method: StartMethod) {
    for workers in worker_counts() {
        for round in 0..20 {
            let pool = build(Pool::builder().workers(workers).queue(8), method);
            let accepted = thread::scope(|scope| {
                let submitters: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut jobs = Vec::new();
                            loop {
                                match pool.submit(double::job(jobs.len() as u64)) {
                                    Ok(job) => jobs.push(job),
                                    Err(refused) => {
                                        assert!(refused.is_closed(), "{refused}");
                                        return jobs;
                                    }
                                }
                            }
                        })
                    })
                    .collect();
                ENDS[round % ENDS.len()](&pool);
                submitters.into_iter().flat_map(|thread| thread.join().unwrap().into_iter().enumerate()).collect::<Vec<_>>()
            });
            for (n, job) in accepted {
                match job.wait() {
                    Ok(value) => assert_eq!(value, 2 * n as u64),
                    Err(JobError::Cancelled(_)) => assert_ne!(round % ENDS.len(), 0, "a join cancels nothing"),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

/// The pool that all share is another one now and then, and the one before ends in some way. Whoever had got hold of that has his job
/// back, or an outcome that says that it did not run, and tries again with the next: each job runs once.
fn j150_submit_races_with_replace(method: StartMethod) {
    const EACH: u64 = 300;
    let with = |n: usize| Pool::builder().workers(1 + n % 3).queue(4 + n).max_jobs(50).env("ROUND", n.to_string());
    // Built before there are threads: they may not be copied.
    let mut pools: Vec<_> = (0..8).map(|n| Arc::new(build(with(n), method))).collect();
    let shared = Mutex::new(pools.remove(0));
    let current = || Arc::clone(&shared.lock().unwrap());
    let submit = |n: u64| {
        let (mut job, mut tries) = (double::job(n), 0);
        loop {
            tries += 1;
            let handle = match current().submit(job) {
                Ok(handle) => handle,
                Err(refused) => {
                    assert!(refused.is_closed(), "{refused}");
                    job = refused.into_job();
                    continue;
                }
            };
            match handle.wait() {
                Ok(value) => {
                    assert_eq!(value, 2 * n);
                    return tries;
                }
                Err(JobError::Cancelled(_)) => job = double::job(n),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let tries: u64 = thread::scope(|scope| {
        let submitters: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..EACH).map(submit).sum::<u64>())).collect();
        for (round, next) in pools.into_iter().enumerate() {
            // It has some use first.
            assert!((0..40).map(submit).sum::<u64>() >= 40);
            let former = std::mem::replace(&mut *shared.lock().unwrap(), next);
            match round % 3 {
                0 => former.join(),
                1 => former.shutdown(Duration::from_secs(3600)),
                // Ends with the last that has it.
                _ => drop(former),
            }
        }
        submitters.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(tries >= 4 * EACH);
}

/// A pool whose settings change stays the same pool: nobody has to try again.
fn j150_submit_races_with_new_settings(method: StartMethod) {
    let pool = build(Pool::builder().workers(2).queue(64), method);
    thread::scope(|scope| {
        let work = || (0..400).all(|n| pool.submit(double::job(n)).unwrap().wait().unwrap() == 2 * n);
        let submitters: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        for round in 0..12 {
            pool.resize(1 + round % 4).unwrap();
            let mut limits = pool.limits();
            limits.max_jobs = (round % 2 == 0).then_some(20);
            pool.set_limits(limits).unwrap();
            assert_eq!(pool.run(double::job(9)).unwrap(), 18);
            if round % 3 == 0 {
                pool.restart();
            }
        }
        assert!(submitters.into_iter().all(|thread| thread.join().unwrap()));
    });
    pool.join();
}
