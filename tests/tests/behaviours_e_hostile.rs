//! Behaviours, group E, second half: jobs that damage their own worker, and what is left of what they print.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process;
use std::time::Duration;

use jobs::{Way, double, pid, pool_of, worker_counts};
use mpm::{HowItEnded, JobError, Phase, Pool, WorkerExit, worker};
use mpm_tests::{Leaks, alone, children_of, close_descriptor, close_descriptors_from, limit_descriptors, watchdog};

#[worker]
fn closes_from(first: u32, answer: usize) -> Vec<u8> {
    close_descriptors_from(first);
    vec![1; answer]
}

#[mpm::test]
fn e80_a_job_closes_every_descriptor_of_its_worker() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for answer in [10, 300_000] {
            for _ in 0..3 {
                // The value or a clear error; and never a wait for ever.
                match pool.run(closes_from::job(3, answer)) {
                    Ok(bytes) => assert_eq!(bytes.len(), answer),
                    Err(JobError::Died(death)) => {
                        assert_eq!(death.how, HowItEnded::Exited(WorkerExit::LinkDamaged.code()), "{death}");
                    }
                    Err(JobError::Encode(error)) => assert!(error.in_worker && answer > 10, "{error}"),
                    Err(other) => panic!("{other}"),
                }
                assert_eq!(pool.run(double::job(3)).unwrap(), 6);
            }
        }
        pool.join();
    }
}

#[worker]
fn closes(descriptors: Vec<i32>) -> Vec<u8> {
    descriptors.into_iter().for_each(close_descriptor);
    vec![1; 300_000]
}

/// Closes what leads to something of this kind, standard streams excepted.
#[worker]
fn closes_kind(kind: &str, answer: usize) -> Vec<u8> {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| {
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        let leads_to = fs::read_link(entry.path()).ok()?;
        (number > 2 && leads_to.to_str()?.starts_with(kind)).then_some(number)
    });
    let numbers: Vec<i32> = links.collect();
    assert!(!numbers.is_empty(), "a worker has a {kind}");
    numbers.into_iter().for_each(close_descriptor);
    vec![1; answer]
}

#[mpm::test]
fn e80_a_job_closes_its_socket_its_doorbell_or_its_lifeline() {
    let _guard = watchdog();
    for kind in ["socket:", "pipe:"] {
        for answer in [10, 300_000] {
            let pool = pool_of(1);
            match pool.run(closes_kind::job(kind, answer)) {
                Ok(bytes) => assert_eq!(bytes.len(), answer),
                Err(JobError::Died(death)) => assert_eq!(death.how, HowItEnded::Exited(WorkerExit::LinkDamaged.code()), "{death}"),
                Err(JobError::Encode(error)) => assert!(kind == "socket:" && error.in_worker && answer > 10, "{error}"),
                Err(other) => panic!("{kind}: {other}"),
            }
            assert_eq!(pool.run(double::job(3)).unwrap(), 6, "{kind}");
        }
    }
}

#[mpm::test]
fn e80_a_job_closes_stdout_and_stderr() {
    let _guard = watchdog();
    for descriptors in [vec![1], vec![2], vec![1, 2], vec![0, 1, 2]] {
        let pool = pool_of(1);
        assert_eq!(pool.run(closes::job(descriptors.clone())).unwrap().len(), 300_000);
        // The worker goes on, and what it prints is lost.
        pool.run(prints::job("nobody reads this")).unwrap();
        assert_eq!(pool.run(double::job(3)).unwrap(), 6);
        match pool.run(jobs::die::job(Way::Abort)) {
            Err(JobError::Died(death)) => assert!(matches!(death.how, HowItEnded::Signal { number: libc::SIGABRT, .. })),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.run(double::job(3)).unwrap(), 6, "after {descriptors:?}");
    }
}

#[worker]
fn prints(text: &str) {
    println!("{text}");
    eprintln!("{text}");
}

/// Writes `byte` all over the memory named `name` that this worker shares with its parent; whether the system let it.
#[worker]
fn scribbles(name: &str, byte: u8, from: u64) -> Vec<bool> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    let regions = maps.lines().filter(|line| line.contains(name)).map(|line| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        (start + from, end)
    });
    regions.map(|(start, end)| memory.write_all_at(&vec![byte; (end - start) as usize], start).is_ok()).collect()
}

#[mpm::test]
fn e80_a_job_writes_over_the_memory_of_its_link() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for byte in [0, 1, 0x7f, 0xff] {
            // All of it, or all but the claim word, or all but the words.
            for from in [0, 64, 4096] {
                match pool.run(scribbles::job("memfd:mpm-responses", byte, from)) {
                    Ok(_) => {}
                    Err(JobError::Died(death)) => match (&death.ended_by_pool, &death.how) {
                        (Some(_), _) => assert!(death.to_string().contains("damaged"), "{death}"),
                        (None, HowItEnded::Exited(code)) => assert_eq!(*code, WorkerExit::LinkDamaged.code()),
                        (None, how) => panic!("{how:?}: {death}"),
                    },
                    Err(other) => panic!("{byte} from {from}: {other}"),
                }
                for n in 0..5 {
                    assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n, "{byte} from {from}");
                }
            }
        }
    }
}

#[mpm::test]
fn e80_a_job_cannot_write_over_the_requests_of_its_link() {
    let _guard = watchdog();
    let pool = pool_of(1);
    assert_eq!(pool.run(scribbles::job("memfd:mpm-requests", 0xff, 0)).unwrap(), [false]);
    assert_eq!(pool.run(double::job(3)).unwrap(), 6);
}

#[mpm::test]
fn e80_the_neighbours_of_a_worker_that_writes_over_its_link() {
    let _guard = watchdog();
    let pool = pool_of(2);
    for round in 0..10_u8 {
        let bad = pool.submit(scribbles::job("memfd:mpm-responses", round.wrapping_mul(37), 0)).unwrap();
        // Of a worker whose link is damaged nothing is believed: what was handed to it as well may have run there.
        let mut at_risk = BTreeSet::new();
        for (n, outcome) in pool.map::<double>(0..200).enumerate() {
            match outcome {
                Ok(value) => assert_eq!(value, 2 * n as u64),
                Err(JobError::Died(death)) => {
                    assert!(death.ended_by_pool.is_some(), "{death}");
                    at_risk.insert(death.pid);
                }
                Err(other) => panic!("{other}"),
            }
        }
        mpm::wait_all(std::slice::from_ref(&bad));
        assert!(at_risk.is_subset(&bad.report().pid.into_iter().collect()), "{at_risk:?}");
        match bad.wait() {
            Ok(_) | Err(JobError::Died(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[worker]
fn prints_then_dies(lines: u32, partial: &str) {
    for n in 0..lines {
        eprintln!("line {n}");
    }
    eprint!("{partial}");
    process::exit(5);
}

fn last_lines(pool: &Pool, lines: u32, partial: &str) -> Vec<String> {
    match pool.run(prints_then_dies::job(lines, partial)) {
        Err(JobError::Died(death)) => death.stderr,
        other => panic!("{other:?}"),
    }
}

#[mpm::test]
fn e74_the_last_lines_of_a_worker() {
    let _guard = watchdog();
    let pool = pool_of(1);
    assert_eq!(last_lines(&pool, 0, ""), Vec::<String>::new());
    assert_eq!(last_lines(&pool, 1, ""), ["line 0"]);
    assert_eq!(last_lines(&pool, 1, "not ended"), ["line 0", "not ended"]);
    assert_eq!(last_lines(&pool, 0, "one\rtwo\r\nthree"), ["one", "two", "three"], "a progress bar");
    let many = last_lines(&pool, 1000, "the end");
    assert_eq!(many.len(), 20);
    assert_eq!((many[0].as_str(), many[18].as_str(), many[19].as_str()), ("line 981", "line 999", "the end"));
    let long = last_lines(&pool, 0, &"ž".repeat(3000));
    assert!(long.iter().all(|line| !line.is_empty() && line.chars().count() <= 1024), "{long:?}");
}

#[mpm::test]
fn e74_lines_of_one_worker_are_not_told_of_another() {
    let _guard = watchdog();
    let pool = pool_of(1);
    assert_eq!(last_lines(&pool, 2, ""), ["line 0", "line 1"]);
    assert_eq!(last_lines(&pool, 1, ""), ["line 0"], "the worker that came after it begins anew");
}

#[worker]
fn floods(bytes: usize, then: Option<Way>) -> usize {
    let line = [b"y".repeat(99), b"\n".to_vec()].concat();
    let mut stderr = std::io::stderr();
    for _ in 0..bytes / line.len() {
        stderr.write_all(&line).unwrap();
    }
    if let Some(way) = then {
        way.go();
    }
    bytes
}

#[mpm::test]
fn e74_a_flood_on_standard_error() {
    alone("e74_a_flood_on_standard_error", || {
        for workers in worker_counts() {
            let pool = pool_of(workers);
            let inputs = (0..2 * workers).map(|n| (3_000_000, (n % 2 == 1).then_some(Way::Exit(2))));
            for (n, outcome) in pool.map::<floods>(inputs).enumerate() {
                match outcome {
                    Ok(bytes) => assert!(bytes == 3_000_000 && n % 2 == 0),
                    Err(JobError::Died(death)) => {
                        assert_eq!(death.stderr.len(), 20);
                        assert_eq!(death.stderr[19], "about to die: Exit(2)");
                        assert_eq!(death.stderr[0], "y".repeat(99));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    });
}

#[worker]
fn endless_flood() {
    loop {
        eprintln!("{}", "z".repeat(1000));
    }
}

#[mpm::test]
fn e74_a_pool_ends_in_the_middle_of_a_flood() {
    alone("e74_a_pool_ends_in_the_middle_of_a_flood", || {
        let pool = Pool::builder().workers(2).grace(Duration::from_millis(50)).build().unwrap();
        let jobs = [pool.submit(endless_flood::job()).unwrap(), pool.submit(endless_flood::job()).unwrap()];
        mpm_tests::wait_until("both jobs run", || jobs.iter().all(|job| job.report().pid.is_some()));
        drop(pool);
        assert!(jobs.into_iter().all(|job| matches!(job.wait(), Err(JobError::Cancelled(_)))));
        assert_eq!(children_of(process::id()), []);
    });
}

#[mpm::test]
fn e92_no_descriptors_left() {
    alone("e92_no_descriptors_left", || {
        pool_of(1).run(double::job(1)).unwrap();
        let leaks = Leaks::baseline().allow_threads(&["mpm-"]);
        let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        for room in (0..40).rev() {
            limit_descriptors(used + room);
            let Ok(pool) = Pool::builder().workers(4).build() else { continue };
            // With some workers, or with none and the reason.
            match pool.run(double::job(4)) {
                Ok(value) => assert_eq!(value, 8),
                Err(JobError::PoolFailed(reason)) => assert!(reason.contains("start worker"), "{reason}"),
                Err(other) => panic!("{other}"),
            }
            drop(pool);
        }
        leaks.check();
    });
}

#[worker]
fn exits_from_a_thread() {
    std::thread::spawn(|| process::exit(6));
    loop {
        std::thread::park();
    }
}

#[mpm::test]
fn e78_a_thread_of_the_job_ends_the_process() {
    let _guard = watchdog();
    let pool = pool_of(1);
    match pool.run(exits_from_a_thread::job()) {
        Err(JobError::Died(death)) => assert_eq!((death.how, death.phase), (HowItEnded::Exited(6), Phase::Running)),
        other => panic!("{other:?}"),
    }
    assert!(pool.run(pid::job()).is_ok());
}
