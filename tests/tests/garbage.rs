//! Workers that write over their own link: the parent neither crashes nor hangs, believes nothing, and replaces them.
//!
//! A million rounds against the parent's end alone are in `mpm-runtime/src/link/tests/garbage.rs`; here real workers do
//! it. The number of rounds is `MPM_SCRIBBLES`, by default 120.

#![expect(unsafe_code, reason = "a job that writes over its own process's memory is what is tested")]

use std::fs;

use mpm::{HowItEnded, JobError, Pool, WorkerExit, worker};
use mpm_tests::watchdog;

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The memory that this worker shares with its parent for writing: start and length.
fn shared_memory() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("memfd:mpm-responses") && line.contains("rw-s")).unwrap();
    let (start, rest) = line.split_once('-').unwrap();
    let (end, _) = rest.split_once(' ').unwrap();
    let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16).unwrap());
    (start, end - start)
}

/// Writes bytes chosen by `seed` over the chosen part of the link.
fn scribble(seed: u64, zeros: bool) {
    let (start, len) = shared_memory();
    let mut state = seed;
    let (from, to) = match seed % 4 {
        0 => (0, len),
        1 => (0, 4096),
        2 => (4096, len),
        // One word of the control page.
        _ => {
            let at = random(&mut state) as usize % 5 * 64;
            (at, at + 8)
        }
    };
    for at in (from..to).step_by(8) {
        let word = if zeros { 0 } else { random(&mut state) };
        // SAFETY: the range is mapped for writing in this process (/proc/self/maps has just said so) and stays so; that
        // the write breaks the link's protocol is the point.
        unsafe { ((start + at) as *mut u64).write_volatile(word) };
    }
}

#[worker]
fn scribble_and_return(seed: u64) -> u64 {
    scribble(seed, seed.is_multiple_of(3));
    seed
}

#[worker]
fn scribble_and_exit(seed: u64) {
    scribble(seed, seed.is_multiple_of(3));
    std::process::exit(0);
}

#[worker]
fn scribble_on_and_on(seed: u64) -> u64 {
    std::thread::spawn(move || {
        for n in 0.. {
            // Not zeros: a bell that reads AWAKE beside a worker that sleeps makes it one that never answers, which only
            // a time limit can tell from a long job.
            scribble(seed + n, false);
        }
    });
    seed
}

#[worker]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[mpm::test]
fn garbage_over_the_whole_link_costs_the_worker_and_its_job_and_nothing_else() {
    let _watchdog = watchdog();
    let rounds: u64 = std::env::var("MPM_SCRIBBLES").ok().and_then(|n| n.parse().ok()).unwrap_or(120);
    let pool = Pool::builder().workers(2).build().unwrap();
    let (mut values, mut deaths) = (0, 0);
    for seed in 0..rounds {
        let bad = if seed % 2 == 0 {
            pool.submit(scribble_and_return::job(seed)).map(|job| job.wait()).unwrap()
        } else {
            pool.submit(scribble_and_exit::job(seed)).map(|job| job.wait().map(|()| 0)).unwrap()
        };
        match bad {
            // What it wrote happened not to matter, or its answer was on its way and whole.
            Ok(value) => {
                assert_eq!(value, seed);
                values += 1;
            }
            Err(JobError::Died(death)) => {
                deaths += 1;
                let known = death.ended_by_pool.is_some()
                    || matches!(death.how, HowItEnded::Exited(code) if code == 0 || code == WorkerExit::LinkDamaged.code());
                assert!(known, "{death}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
        // The pool goes on: jobs run, on replaced workers where need be.
        let sums: Vec<_> = (0..4).map(|n| pool.submit(add::job(seed, n)).unwrap()).collect();
        for (job, n) in sums.into_iter().zip(0..) {
            match job.wait() {
                Ok(sum) => assert_eq!(sum, seed + n),
                // A damaged worker is found out when it is next used: that job is the price.
                Err(JobError::Died(_)) => {}
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
    }
    assert!(deaths > rounds / 4, "{deaths} deaths and {values} values in {rounds} rounds");
    assert_eq!(pool.run(add::job(1, 2)).map_or(3, |sum| sum), 3);
    pool.join();
    println!("{rounds} rounds: {values} values, {deaths} deaths");
}

#[mpm::test]
fn a_worker_that_scribbles_for_ever_is_replaced() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    for seed in 0..20 {
        // It dies with this job or with a later one; what comes after that is served by a new worker.
        let _ = pool.run(scribble_on_and_on::job(seed));
        let mut tries = 0;
        while pool.run(add::job(seed, 1)).ok() != Some(seed + 1) {
            tries += 1;
            assert!(tries < 100, "the damaged worker is never replaced");
        }
    }
    pool.kill();
}
