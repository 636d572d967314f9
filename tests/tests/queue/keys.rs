//! Sticky routing: the same key, the same worker.

use std::collections::{BTreeMap, BTreeSet};

use mpm::worker;
use mpm_tests::{Gate, kill, watchdog};

use crate::marks::{METHODS, folder, mark, pid, pool, started, warm};

#[mpm::test]
fn jobs_of_a_key_run_in_one_worker() {
    let _watchdog = watchdog();
    for workers in [1, 2, 4] {
        let pool = pool(workers).build().unwrap();
        let jobs: Vec<_> = (0..600).map(|n| (n % 30, pool.submit(pid::job().key(n % 30)).unwrap())).collect();
        let mut homes: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (key, job) in jobs {
            homes.entry(key).or_default().insert(job.wait().unwrap());
        }
        assert!(homes.values().all(|pids| pids.len() == 1), "{workers} workers: {homes:?}");
        // Asked one at a time they are where they were.
        for (key, pids) in homes {
            assert!(pids.contains(&pool.run(pid::job().key(key)).unwrap()));
        }
    }
}

#[mpm::test]
fn keys_that_come_one_after_the_other_are_spread_over_the_workers() {
    let _watchdog = watchdog();
    for workers in [1, 2, 4] {
        let pool = pool(workers).build().unwrap();
        // All are there.
        let runs = pool.broadcast(pid::job()).unwrap();
        assert_eq!(runs.into_iter().map(|(_, run)| run.wait().unwrap()).collect::<BTreeSet<_>>().len(), workers);
        let mut keys: BTreeMap<u32, u32> = BTreeMap::new();
        for key in 0..workers * 3 {
            *keys.entry(pool.run(pid::job().key(key)).unwrap()).or_default() += 1;
        }
        assert!(keys.len() == workers && keys.values().all(|count| *count == 3), "{workers} workers: {keys:?}");
        // They stay where they are.
        for key in 0..workers * 3 {
            *keys.entry(pool.run(pid::job().key(key)).unwrap()).or_default() += 1;
        }
        assert!(keys.len() == workers && keys.values().all(|count| *count == 6), "{workers} workers: {keys:?}");
    }
}

#[mpm::test]
fn a_key_is_any_value_that_can_be_hashed() {
    let _watchdog = watchdog();
    let pool = pool(2).build().unwrap();
    let user = (7_u64, String::from("ann"));
    let first = pool.run(pid::job().key(&user)).unwrap();
    assert_eq!(pool.run(pid::job().key((7_u64, "ann"))).unwrap(), first);
}

#[mpm::test]
fn a_job_waits_for_its_own_worker_and_nobody_else_does() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(2).build().unwrap();
    warm(&pool);
    let holds = pool.submit(mark::job(&marks, 0, &gate.path()).key("k")).unwrap();
    gate.wait_for(1);
    let waits: Vec<_> = (1..=5).map(|n| pool.submit(mark::job(&marks, n, "").key("k")).unwrap()).collect();
    // The other worker is free all the time, and does all of these.
    let others: BTreeSet<u32> = (100..140).map(|n| pool.run(mark::job(&marks, n, "")).unwrap()).collect();
    assert_eq!(started(&marks), [0].into_iter().chain(100..140).collect::<Vec<_>>());
    gate.open();
    let home = holds.wait().unwrap();
    assert!(!others.contains(&home) && others.len() == 1);
    assert!(waits.into_iter().all(|job| job.wait().unwrap() == home));
    assert_eq!(started(&marks)[41..], [1, 2, 3, 4, 5]);
}

#[mpm::test]
fn where_its_worker_dies_a_key_goes_on_with_another_one_in_order() {
    let _watchdog = watchdog();
    for method in METHODS {
        for workers in [1, 2] {
            let (folder, marks) = folder();
            let gate = Gate::new(folder.path(), "gate");
            let pool = pool(workers).start(method).build().unwrap();
            warm(&pool);
            let dies = pool.submit(mark::job(&marks, 0, &gate.path()).key("k")).unwrap();
            gate.wait_for(1);
            let home = dies.report().pid.unwrap();
            let jobs: Vec<_> = (1..=9).map(|n| pool.submit(mark::job(&marks, n, "").key("k")).unwrap()).collect();
            kill(home, libc::SIGKILL);
            assert!(dies.wait().unwrap_err().death().is_some());
            let pids: BTreeSet<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
            assert!(pids.len() == 1 && !pids.contains(&home), "{method:?}, {workers} workers: {pids:?}");
            assert_eq!(started(&marks), (0..10).collect::<Vec<_>>());
            assert!(pids.contains(&pool.run(pid::job().key("k")).unwrap()));
        }
    }
}

#[mpm::test]
fn where_its_worker_has_had_its_last_job_a_key_goes_on_with_another_one() {
    let _watchdog = watchdog();
    for method in METHODS {
        let (_folder, marks) = folder();
        let pool = pool(2).start(method).max_jobs(5).build().unwrap();
        let jobs: Vec<_> = (0..40).map(|n| pool.submit(mark::job(&marks, n, "").key("k")).unwrap()).collect();
        let mut pids: Vec<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
        pids.dedup();
        assert_eq!(pids.len(), 8, "{method:?}: {pids:?}");
        assert_eq!(started(&marks), (0..40).collect::<Vec<_>>(), "in order, and each once");
    }
}

/// The next one began at once in another worker.
#[mpm::test]
fn jobs_of_a_key_run_one_after_the_other_also_where_their_worker_takes_no_more() {
    let _watchdog = watchdog();
    for method in METHODS {
        for is_restart in [false, true] {
            let (folder, marks) = folder();
            let gate = Gate::new(folder.path(), "gate");
            let builder = if is_restart { pool(2) } else { pool(2).max_jobs(1) };
            let pool = builder.start(method).build().unwrap();
            let first = pool.submit(mark::job(&marks, 0, &gate.path()).key("k")).unwrap();
            gate.wait_for(1);
            if is_restart {
                pool.restart();
            }
            let next: Vec<_> = (1..=3).map(|n| pool.submit(mark::job(&marks, n, "").key("k")).unwrap()).collect();
            for n in 100..110 {
                pool.run(mark::job(&marks, n, "")).unwrap();
            }
            assert!(!started(&marks).contains(&1), "{method}: it runs beside the first");
            gate.open();
            first.wait().unwrap();
            crate::marks::end_well(next);
            let order: Vec<_> = started(&marks).into_iter().filter(|n| *n < 100).collect();
            assert_eq!(order, [0, 1, 2, 3], "{method}");
        }
    }
}

#[worker]
fn weigh(bytes: &[u8]) -> usize {
    bytes.len()
}

/// The fifth job found no room in the link, and everybody waited for that.
#[mpm::test]
fn where_the_link_of_a_worker_is_full_only_its_own_jobs_wait() {
    let _watchdog = watchdog();
    for is_round_robin in [false, true] {
        let (folder, marks) = folder();
        let gate = Gate::new(folder.path(), "gate");
        let pool = pool(2).round_robin(is_round_robin).build().unwrap();
        warm(&pool);
        let first = pool.submit(mark::job(&marks, 0, &gate.path()).key("k")).unwrap();
        gate.wait_for(1);
        let bytes = vec![7; 30_000];
        let next: Vec<_> = (0..40).map(|_| pool.submit(weigh::job(&bytes).key("k")).unwrap()).collect();
        for _ in 0..10 {
            // To the other one; where all go in turn, to each.
            let other = pool.submit(pid::job().priority(1)).unwrap();
            if !is_round_robin {
                other.wait().unwrap();
            }
        }
        pool.run(pid::job().key("another")).unwrap();
        assert!(next.iter().all(|job| !job.is_finished()));
        gate.open();
        first.wait().unwrap();
        assert!(next.into_iter().all(|job| job.wait().unwrap() == bytes.len()));
    }
}

#[mpm::test]
fn waiting_jobs_of_a_key_end_with_the_pool() {
    let _watchdog = watchdog();
    for method in METHODS {
        for is_kill in [true, false] {
            let (folder, marks) = folder();
            let gate = Gate::new(folder.path(), "gate");
            let pool = pool(2).start(method).build().unwrap();
            let runs = pool.submit(mark::job(&marks, 0, &gate.path()).key("k")).unwrap();
            gate.wait_for(1);
            let jobs: Vec<_> = (1..=9).map(|n| pool.submit(mark::job(&marks, n, "").key("k")).unwrap()).collect();
            if is_kill {
                pool.kill();
                assert!(runs.wait().unwrap_err().is_cancelled());
                assert!(jobs.into_iter().all(|job| job.wait().unwrap_err().is_cancelled()));
                assert_eq!(started(&marks), [0]);
            } else {
                gate.open();
                pool.join();
                assert!(jobs.into_iter().chain([runs]).all(|job| job.wait().is_ok()));
                assert_eq!(started(&marks), (0..10).collect::<Vec<_>>());
            }
        }
    }
}
