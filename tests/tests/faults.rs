//! Kills a worker at every step of the walk of a job, each by name, and kills workers at random under load.
//!
//! | step | what the caller must see |
//! |---|---|
//! | before a claim | nothing: no job is lost |
//! | from the claim on | that one job dies, and its report says whether it ran |
//! | once the answer is in the ring | the value |

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mpm::{DidRun, JobError, Phase, Pool, worker};
use mpm_tests::{alone, children_of, kill, process_gone, wait_until, watchdog};

/// Appends a line for each run and gives the number's bytes back with `extra` bytes behind them.
#[worker]
fn run_once(marks: &Path, number: u32, extra: usize) -> Vec<u8> {
    mark(marks, number);
    answer(number, extra)
}

fn answer(number: u32, extra: usize) -> Vec<u8> {
    let mut answer = number.to_le_bytes().to_vec();
    answer.resize(4 + extra, 7);
    answer
}

/// As `run_once`, with a result that travels as one run of bytes.
#[worker]
fn run_large(marks: &Path, bytes: &[u8]) -> Vec<u8> {
    mark(marks, 0);
    bytes.to_vec()
}

/// One small write to a file opened for appending is one line, whoever writes beside.
fn mark(marks: &Path, number: u32) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().append(true).open(marks).unwrap();
    file.write_all(format!("{number}\n").as_bytes()).unwrap();
}

/// How often each number ran.
fn runs(marks: &Path) -> HashMap<u32, u32> {
    let mut runs = HashMap::new();
    for line in fs::read_to_string(marks).unwrap().lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    runs
}

/// What must become of the first job.
#[derive(Clone, Copy)]
enum Expected {
    Value,
    Death(Phase),
}

const STEPS: [(&str, Expected); 15] = [
    ("started", Expected::Value),
    ("greeted", Expected::Value),
    ("ready", Expected::Value),
    ("claimed", Expected::Death(Phase::Claimed)),
    ("opened", Expected::Death(Phase::Claimed)),
    ("decoding", Expected::Death(Phase::Decoding)),
    ("running", Expected::Death(Phase::Running)),
    ("encoding", Expected::Death(Phase::Encoding)),
    ("sending", Expected::Death(Phase::Sending)),
    ("written", Expected::Death(Phase::Sending)),
    ("published", Expected::Value),
    ("rung", Expected::Value),
    ("answered", Expected::Value),
    ("stopping", Expected::Value),
    ("dropping", Expected::Value),
];

/// Runs ten jobs on one worker that dies once, at `step`.
fn dies_at(step: &str, expected: Expected, large: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (latch, marks) = (folder.path().join("latch"), folder.path().join("marks"));
    fs::write(&latch, "").unwrap();
    fs::write(&marks, "").unwrap();
    let fault = format!("{step}:{}", latch.display());
    // It comes to its end by itself.
    let pool = Pool::builder().workers(1).grace(Duration::from_secs(3600)).env("MPM_FAULT", fault).build().unwrap();
    let mut outcomes = Vec::new();
    if large {
        let bytes = vec![3; 300_000];
        let jobs: Vec<_> = (0..10).map(|_| pool.submit(run_large::job(&marks, &bytes)).unwrap()).collect();
        outcomes.extend(jobs.into_iter().map(|job| job.wait().map(|back| assert!(back == bytes))));
    } else {
        let jobs: Vec<_> = (0..10).map(|n| pool.submit(run_once::job(&marks, n, 10)).unwrap()).collect();
        outcomes.extend(jobs.into_iter().zip(0..).map(|(job, n)| job.wait().map(|back| assert_eq!(back, answer(n, 10)))));
    }
    pool.join();
    assert!(!latch.exists(), "no worker came by {step}");
    let ran: u32 = runs(&marks).values().sum();
    match (outcomes.remove(0), expected) {
        (Ok(()), Expected::Value) => assert_eq!(ran, 10, "{step}"),
        (Err(JobError::Died(death)), Expected::Death(phase)) => {
            assert_eq!((death.phase, death.did_run), (phase, phase.did_run()), "{step}: {death}");
            assert!(death.to_string().contains("SIGKILL"), "{death}");
            assert_eq!(death.attempt, 1);
            // Killed by us as it entered its code: it cannot have made its mark.
            let first = u32::from(death.did_run == DidRun::Yes);
            assert_eq!(ran, 9 + first, "{step}");
        }
        (outcome, _) => panic!("{step}: the first job ended as {outcome:?}"),
    }
    for outcome in outcomes {
        outcome.unwrap_or_else(|error| panic!("{step}: a later job failed: {error}"));
    }
}

#[mpm::test]
fn a_worker_killed_at_any_step_costs_at_most_the_job_that_it_had_claimed() {
    let _watchdog = watchdog();
    for (step, expected) in STEPS {
        dies_at(step, expected, false);
    }
}

#[mpm::test]
fn the_same_with_payloads_that_travel_in_segments() {
    let _watchdog = watchdog();
    for (step, expected) in STEPS.into_iter().chain([("segment-sent", Expected::Death(Phase::Sending))]) {
        dies_at(step, expected, true);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Kills workers at random while jobs flow. The number of kills is `MPM_KILLS`, by default 1000.
#[mpm::test]
fn random_kills_under_load_leave_every_job_exactly_one_outcome() {
    alone("random_kills_under_load_leave_every_job_exactly_one_outcome", || {
        let _watchdog = mpm_tests::watchdog_after(std::time::Duration::from_secs(140));
        let kills: u32 = std::env::var("MPM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
        let folder = tempfile::tempdir().unwrap();
        let marks = folder.path().join("marks");
        fs::write(&marks, "").unwrap();
        let pool = Pool::builder().workers(4).build().unwrap();
        let (mut seed, mut killed, mut next) = (u64::from(std::process::id()), 0, 0u32);
        let (mut values, mut died) = (0u32, HashMap::new());
        println!("seed {seed}");
        while killed < kills {
            let sizes = [0, 0, 0, 10, 1000, 50_000, 200_000];
            let batch: Vec<_> = (0..40)
                .map(|_| {
                    next += 1;
                    let extra = sizes[random(&mut seed) as usize % sizes.len()];
                    pool.submit(run_once::job(&marks, next, extra)).unwrap()
                })
                .collect();
            for _ in 0..4 {
                let workers = children_of(std::process::id());
                if !workers.is_empty() {
                    // A child stays a zombie of ours until the pool reaps it, so the number is still its own; one that is
                    // reaped between the look and the kill is gone, which `kill` would report.
                    let pid = workers[random(&mut seed) as usize % workers.len()];
                    killed += u32::from(mpm_tests::try_kill(pid, libc::SIGKILL));
                }
            }
            let first = next - 39;
            for (job, number) in batch.into_iter().zip(first..) {
                match job.wait() {
                    Ok(back) => {
                        assert_eq!(back[..4], number.to_le_bytes());
                        values += 1;
                    }
                    Err(JobError::Died(death)) => {
                        // One death, one job: a worker has claimed one at a time.
                        let before = died.insert(death.pid, (number, death));
                        assert!(before.is_none(), "job {number} and {before:?} died with one worker");
                    }
                    Err(other) => panic!("job {number} ended as {other}"),
                }
            }
        }
        pool.join();
        assert_eq!(values + u32::try_from(died.len()).unwrap(), next, "every job has one outcome");
        let runs = runs(&marks);
        let twice: Vec<_> = runs.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "jobs that ran more than once: {twice:?}");
        for (number, death) in died.values() {
            match (death.did_run, runs.get(number)) {
                (DidRun::No, None) | (DidRun::Yes, Some(1)) | (DidRun::Maybe, _) => {}
                (_, ran) => panic!("job {number} ran {ran:?} times: {death}"),
            }
        }
        println!("{killed} kills, {next} jobs: {values} values, {} died with their worker", died.len());
        assert!(children_of(std::process::id()).into_iter().all(process_gone));
        wait_until("nobody is left", || children_of(std::process::id()).is_empty());
    });
}

#[mpm::test]
fn a_killed_idle_worker_costs_nothing() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("marks");
    fs::write(&marks, "").unwrap();
    for number in 0..20 {
        let job = pool.submit(run_once::job(&marks, number, 0)).unwrap();
        mpm::wait_all(std::slice::from_ref(&job));
        let pid = job.report().pid.unwrap();
        assert_eq!(job.wait().unwrap(), answer(number, 0));
        kill(pid, libc::SIGKILL);
    }
}
