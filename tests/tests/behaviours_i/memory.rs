//! Behaviours 127 and 128: a worker that holds too much memory is replaced after its job, or killed in it.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process;

use mpm::{EndReason, Event, EventKind, JobError, Limits, Pool, StartMethod, worker};
use mpm_tests::{Gate, Log, process_gone, wait_at, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pid};
use crate::{resident, wait_for_another, wait_for_workers};

conform!(
    i127_memory_recycling,
    i127_a_new_limit_holds_for_who_has_no_job,
    i128_the_soft_limit_lets_the_job_finish,
    i128_the_hard_limit_kills_the_job,
);

const MIB: u64 = 1 << 20;

/// Never gives back so many bytes.
fn leak(bytes: usize) {
    black_box(Vec::leak(black_box(vec![1_u8; bytes])));
}

/// Loses so much for ever; its process and what that holds then.
#[worker]
fn leaks(bytes: usize) -> (u32, u64) {
    leak(bytes);
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    (process::id(), pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096)
}

/// Holds so much while it waits at a gate.
#[worker]
fn holds(bytes: usize, gate: &str) -> u32 {
    let held = black_box(vec![1_u8; bytes]);
    wait_at(gate);
    held.len() as u32
}

fn limit(pool: &Pool, change: impl FnOnce(&mut Limits)) {
    let mut limits = pool.limits();
    change(&mut limits);
    pool.set_limits(limits).unwrap();
}

/// Each worker that goes has one notice, which names the cause.
fn i127_memory_recycling(method: StartMethod) {
    let log: Log<Event> = Log::default();
    let events = log.clone();
    let pool = build(Pool::builder().workers(1).on_event(move |event| events.add(event.clone())), method);
    let base = pool.run(resident::job()).unwrap();
    limit(&pool, |limits| limits.max_rss = Some(base + 30 * MIB));
    let (mut pids, mut most) = (BTreeSet::new(), 0);
    for _ in 0..12 {
        let worker = loop {
            let (worker, held) = pool.run(leaks::job(3 * MIB as usize)).unwrap();
            most = most.max(held);
            if held > base + 30 * MIB {
                break worker;
            }
        };
        assert!(pids.insert(worker), "one that was replaced is back");
        // It goes on until its successor is ready, however long that takes.
        wait_for_another(&pool, worker);
    }
    assert!(most < base + 100 * MIB, "{} MiB", most / MIB);
    pool.join();
    let told = log.take();
    let (mut ending, mut ended) = (Vec::new(), Vec::new());
    for event in &told {
        match event.kind {
            EventKind::WorkerEnding { pid, reason, .. } => ending.push((pid, reason)),
            EventKind::WorkerEnded { pid, reason, .. } => ended.push((pid, reason)),
            EventKind::JobFailed { .. } => panic!("{event}"),
            _ => {}
        }
    }
    ending.sort_unstable_by_key(|(pid, _)| *pid);
    ended.sort_unstable_by_key(|(pid, _)| *pid);
    assert_eq!(ending, ended, "each once");
    let of_memory = ended.iter().filter(|(_, reason)| *reason == EndReason::Memory);
    assert!(of_memory.count() >= pids.len() && ended.is_sorted_by(|(one, _), (next, _)| one < next), "{ended:?}");
    assert!(ended.iter().all(|(_, reason)| matches!(reason, EndReason::Memory | EndReason::PoolEnded)), "{ended:?}");
    assert!(told.iter().any(|event| event.to_string().contains("used too much memory")));
}

fn i127_a_new_limit_holds_for_who_has_no_job(method: StartMethod) {
    let log: Log<Event> = Log::default();
    let events = log.clone();
    let pool = build(Pool::builder().workers(1).on_event(move |event| events.add(event.clone())), method);
    let base = pool.run(resident::job()).unwrap();
    let (first, _) = pool.run(leaks::job(200 * MIB as usize)).unwrap();
    let ends = |event: &Event| match event.kind {
        EventKind::WorkerEnded { pid, reason, .. } => Some((pid, reason)),
        _ => None,
    };
    let ended = || log.take().iter().filter_map(ends).collect::<Vec<_>>();
    limit(&pool, |limits| limits.max_rss = Some(base + 100 * MIB));
    let mut told = Vec::new();
    wait_until("it is replaced", || {
        told.extend(ended());
        !told.is_empty()
    });
    assert_eq!(told, [(first, EndReason::Memory)]);
    // Of one that has a job, what counts is what it keeps.
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let running = pool.submit(holds::job(200 * MIB as usize, &gate.path())).unwrap();
    gate.wait_for(1);
    let second = running.report().pid.unwrap();
    limit(&pool, |limits| limits.max_rss = Some(base + 90 * MIB));
    gate.open();
    assert_eq!(running.wait().unwrap(), 200 * MIB as u32);
    assert!((0..20).all(|_| pool.run(pid::job()).unwrap() == second));
    pool.join();
    assert_eq!(ended(), [(second, EndReason::PoolEnded)]);
}

fn i128_the_soft_limit_lets_the_job_finish(method: StartMethod) {
    let pool = build(Pool::builder().workers(1), method);
    let first = pool.run(pid::job()).unwrap();
    let base = pool.run(resident::job()).unwrap();
    limit(&pool, |limits| limits.max_rss = Some(base + 40 * MIB));
    let (by, held) = pool.run(leaks::job(80 * MIB as usize)).unwrap();
    assert!(by == first && held > base + 40 * MIB);
    let second = wait_for_another(&pool, first);
    wait_until("it is gone", || process_gone(first));
    // What a job gives back does not count.
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    gate.open();
    for _ in 0..5 {
        assert_eq!(pool.run(holds::job(80 * MIB as usize, &gate.path())).unwrap(), 80 * MIB as u32);
    }
    assert_eq!(pool.run(pid::job()).unwrap(), second);
    // Nor does what is allowed again.
    limit(&pool, |limits| limits.max_rss = None);
    for _ in 0..5 {
        assert_eq!(pool.run(leaks::job(20 * MIB as usize)).unwrap().0, second);
    }
    assert_eq!(pool.run(pid::job()).unwrap(), second);
    limit(&pool, |limits| limits.max_rss_hard = Some(base + 60 * MIB));
    // The hard limit is a soft one for what is left after a job.
    assert_ne!(wait_for_another(&pool, second), second);
}

fn i128_the_hard_limit_kills_the_job(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(2), method);
    let base = pool.run(resident::job()).unwrap();
    limit(&pool, |limits| limits.max_rss_hard = Some(base + 40 * MIB));
    for round in 0..3 {
        let gate = Gate::new(folder.path(), &format!("gate {round}"));
        let path = gate.path();
        let large = pool.submit(holds::job(100 * MIB as usize, &path)).unwrap();
        // Jobs behind it have done nothing.
        let others: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        let error = large.wait().unwrap_err();
        let JobError::Died(death) = &error else { panic!("{error}") };
        assert_eq!((death.reason, death.out_of_memory), (EndReason::Memory, Some(false)));
        assert_eq!(death.how.signal(), Some(libc::SIGKILL));
        let text = death.ended_by_pool.as_deref().unwrap();
        assert!(text.contains("MiB of memory") && error.to_string().contains(text), "{error}");
        assert!((0..).zip(others).all(|(n, job)| job.wait().unwrap() == 2 * n));
        assert!(process_gone(death.pid));
        gate.open();
        // What is within the limit lives.
        assert!(pool.run(holds::job(MIB as usize, &path)).is_ok());
    }
    drop(pool);
    wait_for_workers(0);
}
