//! Behaviours 158 to 161: signals, masks and standard input in workers.

use std::fs;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{AlarmStorm, Gate, block_signal, ignore_signal, kill};
use tempfile::TempDir;

use crate::jobs::{Way, die, worker_counts};
use crate::pools::{build, double, pass, pool_of};

conform!(k158_workers_leave_sigint_to_the_parent, k159_a_storm_of_interrupts, k160_signal_masks, k161_the_stdin_of_a_worker,);

fn k158_workers_leave_sigint_to_the_parent(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1, method);
    let job = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let worker = job.report().pid.unwrap();
    (0..3).for_each(|_| kill(worker, libc::SIGINT));
    gate.open();
    assert_eq!(job.wait().unwrap(), worker);
}

fn k159_a_storm_of_interrupts(method: StartMethod) {
    let bytes = vec![5_u8; 3_000_000];
    let storm = AlarmStorm::every_micros(200);
    for workers in worker_counts() {
        let pool = build(Pool::builder().workers(workers).queue(4), method);
        for (n, value) in pool.map::<double>(0..2000).enumerate() {
            assert_eq!(value.unwrap(), 2 * n as u64);
        }
        assert!(pool.map::<length>([bytes.as_slice(); 20]).all(|outcome| outcome.is_ok_and(|length| length == 3_000_000)));
        for _ in 0..5 {
            assert!(matches!(pool.run(die::job(Way::Exit(4))), Err(JobError::Died(_))));
        }
        let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        assert!(!mpm::wait_all_timeout(&jobs, Duration::ZERO) || jobs.iter().all(mpm::JobHandle::is_finished));
        mpm::wait_all(&jobs);
        pool.join();
    }
    let alarms = storm.count();
    drop(storm);
    assert!(alarms > 100, "{alarms} alarms only");
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

/// The sets of blocked and ignored signals of the calling thread.
#[worker]
fn signals() -> (u64, u64) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    (set("SigBlk:"), set("SigIgn:"))
}

fn k160_signal_masks(method: StartMethod) {
    let bit = |signal: i32| 1_u64 << (signal - 1);
    block_signal(libc::SIGUSR2);
    ignore_signal(libc::SIGUSR1);
    let before = signals();
    assert_eq!((before.0, before.1 & bit(libc::SIGUSR1)), (bit(libc::SIGUSR2), bit(libc::SIGUSR1)));
    let pool = pool_of(2, method);
    let (blocked, ignored) = pool.run(signals::job()).unwrap();
    assert_eq!(signals(), before, "the caller's own");
    assert_eq!(blocked, 0, "a worker blocks nothing");
    assert_ne!(ignored & bit(libc::SIGINT), 0, "and leaves Ctrl-C to the parent");
    assert_ne!(ignored & bit(libc::SIGUSR1), 0, "and ignores what its parent ignores");
    drop(pool);
    assert_eq!(signals(), before);
}

#[worker]
fn reads_stdin() -> (usize, bool, String) {
    let mut text = String::new();
    let count = std::io::stdin().read_to_string(&mut text).unwrap();
    let child = Command::new("cat").output().unwrap();
    (count, child.status.success() && child.stdout.is_empty(), fs::read_link("/proc/self/fd/0").unwrap().display().to_string())
}

fn k161_the_stdin_of_a_worker(method: StartMethod) {
    assert_eq!(pool_of(1, method).run(reads_stdin::job()).unwrap(), (0, true, "/dev/null".to_owned()));
}
