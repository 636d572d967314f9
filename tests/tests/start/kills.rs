//! Workers killed at every named step and at random, for each start method: every job has exactly one outcome.

use std::collections::HashSet;
use std::fs;
use std::process;

use mpm::{JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Leaks, alone, children_of, try_kill, wait_until};

use crate::pools::{begin, build, double, warm_up};

/// The steps of a start; `forking` and `preloading` are the template's, where there is one.
const STEPS: [&str; 7] = ["started", "greeted", "preloading", "forking", "ready", "running", "answered"];

#[worker]
fn nothing() {}

fn steps_of(method: StartMethod) {
    for step in STEPS.into_iter().filter(|step| method != StartMethod::Spawn || *step != "forking") {
        let folder = tempfile::tempdir().unwrap();
        let latch = folder.path().join("latch");
        fs::write(&latch, "").unwrap();
        let builder = Pool::builder().workers(2).max_jobs(3).env("MPM_FAULT", format!("{step}:{}", latch.display()));
        let pool = build(builder.preload(nothing::job()), method);
        // A pool whose template is dead may have failed before it has got them all.
        let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).map_err(|refused| refused.to_string())).collect();
        let is_of_template = |reason: &str| reason.contains("template") && reason.contains("SIGKILL");
        let (mut died, mut failed) = (0, 0);
        for (n, job) in jobs.into_iter().enumerate() {
            let job = match job {
                Ok(job) => job,
                Err(reason) => {
                    assert!(is_of_template(&reason), "{method} {step}: {reason}");
                    failed += 1;
                    continue;
                }
            };
            match job.wait() {
                Ok(value) => assert_eq!(value, 2 * n as u64),
                Err(JobError::Died(death)) => {
                    assert!(death.to_string().contains("SIGKILL"), "{death}");
                    died += 1;
                }
                Err(JobError::PoolFailed(reason)) => {
                    assert!(is_of_template(&reason), "{method} {step}: {reason}");
                    failed += 1;
                }
                Err(error) => panic!("{method} {step}: {error}"),
            }
        }
        pool.join();
        drop(pool);
        assert!(!latch.exists(), "{method}: nobody came by {step}");
        assert_eq!(died, u32::from(step == "running"), "{method} {step}");
        // Only a copy of this process cannot be made anew.
        let template_died = ["forking", "preloading"].contains(&step);
        assert!(failed == 0 || (method == StartMethod::Fork && template_died), "{method} {step}: {failed} failed");
        wait_until("no worker is left", || children_of(process::id()).is_empty());
    }
}

#[mpm::test]
fn at_any_step_by_forkserver() {
    alone("kills::at_any_step_by_forkserver", || steps_of(StartMethod::ForkServer));
}

#[mpm::test]
fn at_any_step_by_spawn() {
    alone("kills::at_any_step_by_spawn", || steps_of(StartMethod::Spawn));
}

#[mpm::test]
fn at_any_step_by_fork() {
    alone("kills::at_any_step_by_fork", || steps_of(StartMethod::Fork));
}

#[mpm::test]
fn a_process_at_any_step() {
    alone("kills::a_process_at_any_step", || {
        for (method, step) in
            StartMethod::ALL.into_iter().flat_map(|m| ["started", "greeted", "ready", "running", "forking"].map(|s| (m, s)))
        {
            if step == "forking" && method != StartMethod::ForkServer {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let latch = folder.path().join("latch");
            fs::write(&latch, "").unwrap();
            let fault = format!("{step}:{}", latch.display());
            let start = || begin(Process::builder(double::job(4)).env("MPM_FAULT", &fault), method);
            match start() {
                Ok(process) => {
                    assert!(["ready", "running"].contains(&step), "{method} {step}");
                    assert!(process.wait().unwrap_err().job().unwrap().is_died(), "{method} {step}");
                }
                Err(error) => {
                    assert!(step != "running", "{method} {step}: {error}");
                    assert!(error.to_string().contains("SIGKILL"), "{method} {step}: {error}");
                }
            }
            assert!(!latch.exists(), "{method}: nobody came by {step}");
            assert_eq!(start().unwrap().wait().unwrap(), 8, "{method} {step}: the next one");
            wait_until("nothing is left", || mpm::active_processes().is_empty() && children_of(process::id()).is_empty());
        }
    });
}

#[worker]
fn answers(number: u64, size: usize) -> (u64, Vec<u8>) {
    (number, vec![7; size])
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as usize
}

/// So many kills; `MPM_KILLS` asks for another number.
fn at_random(method: StartMethod, max_jobs: Option<u64>, kills: u32) {
    let kills = std::env::var("MPM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(kills);
    warm_up(method);
    let leaks = Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
    let builder = Pool::builder().workers(4);
    let builder = match max_jobs {
        Some(jobs) => builder.max_jobs(jobs),
        None => builder,
    };
    let pool = build(builder, method);
    // The template has its name by then, and is not taken for a worker.
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    let (mut seed, mut killed, mut next, mut values) = (u64::from(process::id()), 0, 0_u64, 0);
    let mut died = HashSet::new();
    println!("seed {seed}");
    while killed < kills {
        let sizes = [0, 0, 10, 1000, 100_000];
        let batch: Vec<_> =
            (next..next + 40).map(|n| (n, pool.submit(answers::job(n, sizes[random(&mut seed) % 5])).unwrap())).collect();
        next += 40;
        for _ in 0..4 {
            let workers = children_of(process::id());
            if !workers.is_empty() {
                killed += u32::from(try_kill(workers[random(&mut seed) % workers.len()], libc::SIGKILL));
            }
        }
        for (n, job) in batch {
            match job.wait() {
                Ok((number, _)) => {
                    assert_eq!(number, n);
                    values += 1;
                }
                Err(JobError::Died(death)) => {
                    assert!(death.to_string().contains("SIGKILL"), "{method}: {death}");
                    assert!(died.insert(death.pid), "{method}: two jobs died with one worker: {death}");
                }
                Err(other) => panic!("{method}: job {n} ended as {other}"),
            }
        }
    }
    pool.join();
    println!("{method}: {killed} kills, {next} jobs: {values} values, {} died", died.len());
    assert_eq!(values + died.len() as u64, next);
    drop(pool);
    wait_until("no worker is left", || children_of(process::id()).is_empty());
    leaks.check();
}

#[mpm::test]
fn at_random_by_forkserver() {
    alone("kills::at_random_by_forkserver", || at_random(StartMethod::ForkServer, None, 200));
}

#[mpm::test]
fn at_random_by_spawn() {
    alone("kills::at_random_by_spawn", || at_random(StartMethod::Spawn, None, 200));
}

#[mpm::test]
fn at_random_by_fork() {
    alone("kills::at_random_by_fork", || at_random(StartMethod::Fork, None, 200));
}

#[mpm::test]
fn at_random_with_a_job_limit() {
    alone("kills::at_random_with_a_job_limit", || {
        for method in StartMethod::ALL {
            at_random(method, Some(3), 60);
        }
    });
}
