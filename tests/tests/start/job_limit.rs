//! Workers that end after so many jobs, for each start method: none runs more, none is missed, whatever comes in between.

use std::collections::HashMap;
use std::process;

use mpm::{JobError, JobHandle, Pool, StartMethod, worker};
use mpm_tests::{alone, children_of, try_kill, wait_until};

use crate::pools::build;

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Panics,
    Deaths,
}

/// What it is told, and where it ran. Some panic, some die.
#[worker]
fn works(n: u64, trouble: u8) -> (u64, u32) {
    if trouble == 1 && n % 37 == 3 {
        panic!("on purpose");
    }
    if trouble == 2 && n % 97 == 3 {
        mpm_tests::raise(libc::SIGKILL);
    }
    (n, process::id())
}

fn many(method: StartMethod, limit: u64, jobs: u64, trouble: Trouble) {
    let pool = build(Pool::builder().workers(2).max_jobs(limit).queue(4096), method);
    let jobs: Vec<_> = (0..jobs).map(|n| pool.submit(works::job(n, trouble as u8)).unwrap()).collect();
    let mut ran: HashMap<u32, u64> = HashMap::new();
    for (n, job) in (0_u64..).zip(jobs) {
        let pid = job.report().pid;
        match job.wait() {
            Ok((value, pid)) => {
                assert_eq!(value, n);
                *ran.entry(pid).or_default() += 1;
            }
            Err(JobError::Panicked(panicked)) if trouble == Trouble::Panics && n % 37 == 3 => {
                *ran.entry(panicked.pid).or_default() += 1
            }
            Err(JobError::Died(death)) if trouble == Trouble::Deaths && n % 97 == 3 => *ran.entry(death.pid).or_default() += 1,
            Err(error) => panic!("{method}: job {n} in {pid:?}: {error}"),
        }
    }
    let most = ran.values().max().copied().unwrap_or_default();
    assert!(most <= limit, "{method}: a process ran {most} jobs of {limit}");
    pool.join();
    drop(pool);
    wait_until("no worker is left", || children_of(process::id()).is_empty());
}

fn limits(method: StartMethod) {
    for (limit, jobs) in [(1, 600), (3, 1400)] {
        for trouble in [Trouble::None, Trouble::Panics, Trouble::Deaths] {
            many(method, limit, jobs / 3, trouble);
        }
    }
    many(method, 3, 2000, Trouble::None);
}

#[mpm::test]
fn by_forkserver() {
    alone("job_limit::by_forkserver", || limits(StartMethod::ForkServer));
}

#[mpm::test]
fn by_spawn() {
    alone("job_limit::by_spawn", || limits(StartMethod::Spawn));
}

#[mpm::test]
fn by_fork() {
    alone("job_limit::by_fork", || limits(StartMethod::Fork));
}

/// Ends a pool at every stage of its jobs.
#[mpm::test]
fn ended_at_any_moment() {
    alone("job_limit::ended_at_any_moment", || {
        for round in 0..120_u64 {
            let method = StartMethod::ALL[round as usize % 3];
            let pool = build(Pool::builder().workers(2).max_jobs(1 + round % 2), method);
            let jobs: Vec<_> = (0..20).map(|n| pool.submit(works::job(n, 0)).unwrap()).collect();
            let jobs: Vec<JobHandle<_>> = match round % 4 {
                0 => {
                    pool.join();
                    jobs
                }
                seen => {
                    let mut rest = jobs.into_iter();
                    rest.by_ref().take((round / 8) as usize % 15).for_each(|job| assert!(job.wait().is_ok()));
                    match seen {
                        1 => pool.kill(),
                        2 => pool.shutdown(std::time::Duration::from_secs(60)),
                        _ => drop(pool),
                    }
                    rest.collect()
                }
            };
            let joined = round % 4 == 0;
            for job in jobs {
                match job.wait() {
                    Ok(_) => {}
                    Err(JobError::Cancelled(_)) if !joined => {}
                    Err(error) => panic!("{method}, round {round}: {error}"),
                }
            }
            wait_until("no worker is left", || children_of(process::id()).is_empty());
        }
    });
}

/// Successors are killed as well, in whatever state they are.
#[mpm::test]
fn with_kills_from_outside() {
    alone("job_limit::with_kills_from_outside", || {
        for method in StartMethod::ALL {
            let pool = build(Pool::builder().workers(2).max_jobs(2).queue(4096), method);
            assert!(pool.run(works::job(0, 0)).is_ok());
            let mut died = 0;
            for round in 0..60 {
                let jobs: Vec<_> = (0..10).map(|n| (n, pool.submit(works::job(n, 0)).unwrap())).collect();
                // So few at a time that the pool need not think that no worker can start.
                children_of(process::id()).iter().take(1 + round % 3).for_each(|pid| {
                    let _ = try_kill(*pid, libc::SIGKILL);
                });
                for (n, job) in jobs {
                    match job.wait() {
                        Ok((value, _)) => assert_eq!(value, n),
                        Err(JobError::Died(_)) => died += 1,
                        Err(error) => panic!("{method}: round {round}, job {n}: {error}"),
                    }
                }
            }
            assert!(died < 200, "{died}");
            pool.join();
            drop(pool);
            wait_until("no worker is left", || children_of(process::id()).is_empty());
        }
    });
}
