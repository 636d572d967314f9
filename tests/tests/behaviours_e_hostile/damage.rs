//! Behaviour 80: jobs that damage what their worker speaks with the parent by.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use mpm::{HowItEnded, JobError, StartMethod, WorkerExit, worker};
use mpm_tests::{close_descriptor, close_descriptors_from};

use crate::jobs::{self, Way, double, worker_counts};
use crate::pool_of;

conform!(
    e80_a_job_closes_every_descriptor_of_its_worker,
    e80_a_job_closes_its_socket_its_doorbell_or_its_lifeline,
    e80_a_job_closes_stdout_and_stderr,
    e80_a_job_writes_over_the_memory_of_its_link,
    e80_a_job_cannot_write_over_the_requests_of_its_link,
    e80_the_neighbours_of_a_worker_that_writes_over_its_link,
);

#[worker]
fn closes_from(first: u32, answer: usize) -> Vec<u8> {
    close_descriptors_from(first);
    vec![1; answer]
}

fn e80_a_job_closes_every_descriptor_of_its_worker(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
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

fn e80_a_job_closes_its_socket_its_doorbell_or_its_lifeline(method: StartMethod) {
    for kind in ["socket:", "pipe:"] {
        for answer in [10, 300_000] {
            let pool = pool_of(method, 1);
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

fn e80_a_job_closes_stdout_and_stderr(method: StartMethod) {
    for descriptors in [vec![1], vec![2], vec![1, 2], vec![0, 1, 2]] {
        let pool = pool_of(method, 1);
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

fn e80_a_job_writes_over_the_memory_of_its_link(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
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

fn e80_a_job_cannot_write_over_the_requests_of_its_link(method: StartMethod) {
    let pool = pool_of(method, 1);
    assert_eq!(pool.run(scribbles::job("memfd:mpm-requests", 0xff, 0)).unwrap(), [false]);
    assert_eq!(pool.run(double::job(3)).unwrap(), 6);
}

fn e80_the_neighbours_of_a_worker_that_writes_over_its_link(method: StartMethod) {
    let pool = pool_of(method, 2);
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
