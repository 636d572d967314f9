//! Behaviours 95 to 97: payloads of a hundred megabytes and more, and pools that end while such are on their way.

use std::fs;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, process_gone, wait_at};
use tempfile::TempDir;

use crate::jobs::double;
use crate::pool_of;

conform!(
    f95_a_hundred_megabytes_there_and_back,
    f95_payloads_around_every_limit,
    f95_more_than_two_gibibytes,
    f96_stop_while_a_hundred_megabytes_are_in_flight,
    f97_cancel_all_with_ten_times_a_hundred_megabytes_queued,
);

const MB: usize = 1_000_000;

#[worker]
fn echo_bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[worker]
fn echo_text(text: &str) -> String {
    text.to_owned()
}

#[worker]
fn count(bytes: &[u8]) -> (u64, u64) {
    (bytes.len() as u64, bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum())
}

fn f95_a_hundred_megabytes_there_and_back(method: StartMethod) {
    let mut bytes = vec![0_u8; 100 * MB];
    bytes.iter_mut().enumerate().step_by(997).for_each(|(at, byte)| *byte = at as u8);
    let pool = pool_of(method, 2);
    for _ in 0..2 {
        assert!(pool.run(echo_bytes::job(bytes.clone())).unwrap() == bytes);
    }
    let text = "žába ".repeat(2 * MB);
    assert!(pool.run(echo_text::job(&text)).unwrap() == text);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

fn f95_payloads_around_every_limit(method: StartMethod) {
    let pool = pool_of(method, 1);
    let mib = 1024 * 1024;
    for limit in [0_usize, 1024, 4096, 32 * 1024, 64 * 1024, 128 * 1024, mib, 64 * mib] {
        for size in limit.saturating_sub(40)..=limit + 40 {
            // The largest ones cost too much for each of the sizes.
            if limit < mib || size.abs_diff(limit) <= 1 {
                let bytes = vec![(size % 251) as u8; size];
                assert!(pool.run(echo_bytes::job(bytes.clone())).unwrap() == bytes, "{size}");
            }
        }
    }
}

fn f95_more_than_two_gibibytes(method: StartMethod) {
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = available.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap();
    if kib < 8 * 1024 * 1024 {
        println!("left out: it needs 8 GiB of memory, and {kib} KiB are available");
        return;
    }
    let size = 2 * 1024 * 1024 * 1024 + 4097;
    let mut bytes = vec![0_u8; size];
    bytes[size - 1] = 1;
    bytes[4096] = 2;
    bytes[size - 4097] = 3;
    let sum = bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum();
    let pool = pool_of(method, 1);
    match pool.run(count::job(&bytes)) {
        Ok(counted) => assert_eq!(counted, (size as u64, sum)),
        Err(JobError::Encode(error)) => assert!(error.reason.contains(&size.to_string()), "{error}"),
        Err(other) => panic!("{other}"),
    }
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[worker]
fn hold(gate: &str, bytes: &[u8]) -> Vec<u8> {
    wait_at(gate);
    bytes.to_vec()
}

fn f96_stop_while_a_hundred_megabytes_are_in_flight(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let bytes = vec![1; 100 * MB];
    let stops: [fn(&Pool); 3] = [Pool::kill, |pool| pool.shutdown(Duration::from_millis(1)), |_| {}];
    for (at, stop) in stops.into_iter().enumerate() {
        let gate = Gate::new(folder.path(), &format!("gate-{at}"));
        let path = gate.path();
        let pool = Pool::builder().start(method).workers(1).grace(Duration::from_millis(1)).build().unwrap();
        let job = pool.submit(hold::job(&path, &bytes)).unwrap();
        gate.wait_for(1);
        let worker = job.report().pid.unwrap();
        stop(&pool);
        drop(pool);
        assert!(process_gone(worker));
        assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
        // The moment of sending and taking in the payload, on either side.
        let pool = Pool::builder().start(method).workers(1).grace(Duration::ZERO).build().unwrap();
        let job = pool.submit(echo_bytes::job(bytes.clone())).unwrap();
        stop(&pool);
        drop(pool);
        assert!(matches!(job.wait(), Ok(_) | Err(JobError::Cancelled(_))));
    }
}

fn f97_cancel_all_with_ten_times_a_hundred_megabytes_queued(method: StartMethod) {
    let pool = pool_of(method, 2);
    let bytes = vec![1; 100 * MB];
    let mut jobs: Vec<_> = (0..10).map(|_| pool.submit(count::job(&bytes)).unwrap()).collect();
    let first = mpm::wait_any(&jobs).unwrap();
    assert_eq!(jobs.swap_remove(first).wait().unwrap().0, 100 * MB as u64);
    let taken_back: Vec<_> = jobs.iter().map(mpm::JobHandle::cancel).collect();
    pool.kill();
    for (job, taken_back) in jobs.into_iter().zip(taken_back) {
        match job.wait() {
            Ok(_) => assert!(!taken_back),
            Err(JobError::Cancelled(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
