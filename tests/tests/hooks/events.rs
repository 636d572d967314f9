//! Events: each worker's start and end told once, with one reason, in order.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use mpm::{EndReason, Event, EventKind, HowItEnded, JobError, Retry, StartMethod, worker};
use mpm_tests::{Gate, Log, kill};
use tempfile::TempDir;

use crate::{double, exit, listening, pass, patient, pid};

conform!(
    n193_reasons_once,
    events_come_in_order,
    jobs_without_a_value_are_told,
    each_further_try_is_told,
    a_pool_that_fails_tells_why,
    who_listens_may_panic_and_is_dropped_at_the_end,
);

/// What was told of one worker.
#[derive(Debug, Default)]
struct Told {
    started: usize,
    ready: usize,
    ending: Vec<EndReason>,
    ended: Vec<(EndReason, HowItEnded, u64)>,
}

/// By process.
fn by_worker(events: &[Event]) -> BTreeMap<u32, Told> {
    let mut told: BTreeMap<u32, Told> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::WorkerStarted { pid, .. } => told.entry(*pid).or_default().started += 1,
            EventKind::WorkerReady { pid, .. } => {
                let worker = told.get_mut(pid).expect("it has started");
                assert!(worker.ended.is_empty() && worker.ending.is_empty());
                worker.ready += 1;
            }
            EventKind::WorkerEnding { pid, reason, .. } => {
                let worker = told.get_mut(pid).expect("it has started");
                assert!(worker.ended.is_empty());
                worker.ending.push(*reason);
            }
            EventKind::WorkerEnded { pid, reason, how, jobs, .. } => {
                told.get_mut(pid).expect("it has started").ended.push((*reason, how.clone(), *jobs));
            }
            _ => {}
        }
    }
    told
}

fn n193_reasons_once(method: StartMethod) {
    let (builder, log) = listening(method, 2);
    let pool = builder.max_jobs(3).build().unwrap();
    assert_eq!(pool.map::<double>(0..12).map(Result::unwrap).sum::<u64>(), 132);
    for _ in 0..3 {
        assert!(pool.run(exit::job(3)).unwrap_err().is_died());
    }
    // One that is killed from outside while it has no job.
    let idle = pool.run(pid::job()).unwrap();
    mpm_tests::try_kill(idle, libc::SIGKILL);
    assert_eq!(pool.map::<double>(0..6).map(Result::unwrap).sum::<u64>(), 30);
    pool.join();
    let events = log.take();
    let told = by_worker(&events);
    let mut counts = BTreeMap::new();
    for (pid, worker) in &told {
        assert_eq!((worker.started, worker.ended.len()), (1, 1), "{method}, {pid}: {worker:?}");
        assert!(worker.ready <= 1 && worker.ending.len() <= 1, "{method}, {pid}: {worker:?}");
        let (reason, how, jobs) = &worker.ended[0];
        // Where the pool had said why, that is the reason.
        assert!(worker.ending.iter().all(|said| said == reason), "{method}, {pid}: {worker:?}");
        match reason {
            EndReason::JobLimit => assert_eq!((how, *jobs), (&HowItEnded::Exited(0), 3), "{method}, {pid}"),
            EndReason::Died => assert_ne!(*how, HowItEnded::Exited(0), "{method}, {pid}: {worker:?}"),
            EndReason::PoolEnded => assert!(!worker.ending.is_empty(), "{method}, {pid}: {worker:?}"),
            other => panic!("{method}, {pid}: {other:?}"),
        }
        *counts.entry(reason.to_string()).or_insert(0) += 1;
    }
    assert!(counts[&EndReason::JobLimit.to_string()] >= 4, "{method}: {counts:?}");
    assert!(counts[&EndReason::Died.to_string()] >= 3, "{method}: {counts:?}");
    assert!(matches!(events.last().unwrap().kind, EventKind::PoolEnded));
}

fn events_come_in_order(method: StartMethod) {
    let before = SystemTime::now();
    let (builder, log) = listening(method, 1);
    let pool = builder.name("told").build().unwrap();
    let worker = pool.run(pid::job()).unwrap();
    pool.join();
    let events = log.take();
    let after = SystemTime::now();
    assert!(events.iter().all(|event| &*event.pool == "told" && event.time >= before && event.time <= after));
    let kinds: Vec<_> = events.iter().map(|event| &event.kind).collect();
    let [
        EventKind::WorkerStarted { worker: name, pid: started, method: by, .. },
        EventKind::WorkerReady { pid: ready, took, .. },
        EventKind::WorkerEnding { pid: ending, reason: EndReason::PoolEnded, .. },
        EventKind::WorkerEnded { pid: ended, reason: EndReason::PoolEnded, how: HowItEnded::Exited(0), jobs: 1, lifetime, .. },
        EventKind::PoolEnded,
    ] = kinds[..]
    else {
        panic!("{method}: {kinds:?}")
    };
    assert_eq!([*started, *ready, *ending, *ended], [worker; 4]);
    assert_eq!((&**name, *by), ("told-0", method));
    assert!(took <= lifetime);
    let text = events[0].to_string();
    assert!(text.starts_with("pool told: worker told-0 (pid ") && text.contains(method.name()), "{text}");
}

#[worker]
fn fails_in_its_way(n: u32) -> u32 {
    match n {
        3 => panic!("three"),
        7 => std::process::exit(7),
        n => n,
    }
}

/// Single jobs, and those of `map`, which may travel together.
fn jobs_without_a_value_are_told(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let (builder, log) = listening(method, 1);
    let pool = builder.build().unwrap();
    // Short enough by now to travel together.
    assert_eq!(pool.map::<fails_in_its_way>(100..3100).filter(Result::is_ok).count(), 3000);
    assert_eq!(pool.map::<fails_in_its_way>(0..40).filter(Result::is_err).count(), 2);
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let waiting = pool.submit(double::job(1)).unwrap();
    let id = waiting.id();
    assert!(waiting.cancel());
    kill(running.report().pid.unwrap(), libc::SIGKILL);
    let died = running.id();
    assert!(running.wait().unwrap_err().is_died());
    pool.join();
    let mut failed: Vec<_> = log
        .take()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::JobFailed { job, target, error, .. } => Some((job, target, error)),
            _ => None,
        })
        .collect();
    failed.sort_by_key(|(job, ..)| *job);
    let [(panic_id, _, JobError::Panicked(panic)), (exit_id, _, JobError::Died(exit)), last @ ..] = &failed[..] else {
        panic!("{method}: {failed:?}")
    };
    assert_eq!((panic.job, exit.job), (*panic_id, *exit_id));
    assert_eq!(exit_id - panic_id, 4);
    let [(first, _, JobError::Died(death)), (second, target, JobError::Cancelled(_))] = last else { panic!("{method}: {last:?}") };
    assert_eq!((*first, death.job, *second, *target), (died, died, id, double::NAME), "{method}");
}

/// Dies at its first try, and returns which it is.
#[worker]
fn dies_first() -> u32 {
    match mpm::current().attempt() {
        1 => std::process::abort(),
        attempt => attempt,
    }
}

fn each_further_try_is_told(method: StartMethod) {
    let (builder, log) = listening(method, 1);
    let pool = builder.build().unwrap();
    let wait = Duration::from_millis(3);
    let job = dies_first::job().retries(Retry::times(5).backoff(wait, wait)).retry_if(|attempt| *attempt < 4);
    let job = pool.submit(job).unwrap();
    let id = job.id();
    assert_eq!(job.wait().unwrap(), 4);
    pool.join();
    let events = log.take();
    let told: Vec<_> = events.iter().filter(|event| matches!(event.kind, EventKind::JobRetried { .. })).collect();
    let attempts: Vec<_> = told
        .iter()
        .map(|event| match &event.kind {
            EventKind::JobRetried { job, target, attempt, error, retry_in, .. } => {
                assert_eq!((*job, *target), (id, dies_first::NAME));
                assert!(*retry_in <= wait);
                (*attempt, error.as_ref().is_some_and(JobError::is_died))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(attempts, [(1, true), (2, false), (3, false)], "{method}");
    assert!(
        told[0].to_string().contains("try 1 failed, the next one comes in ")
            && told[1].to_string().contains(&format!("try 2 at job {id}")),
        "{told:?}"
    );
    assert!(!events.iter().any(|event| matches!(event.kind, EventKind::JobFailed { .. })), "it has returned in the end");
}

fn a_pool_that_fails_tells_why(method: StartMethod) {
    let (builder, log) = listening(method, 1);
    let pool = builder.cwd("/no/such/folder").build().unwrap();
    // It may have failed already.
    let accepted = pool.submit(double::job(1)).map(|job| job.wait().unwrap_err()).is_ok();
    pool.join();
    let events = log.take();
    let failed = events.iter().filter_map(|event| match &event.kind {
        EventKind::PoolFailed { reason, .. } => Some(reason),
        _ => None,
    });
    let reasons: Vec<_> = failed.collect();
    assert!(reasons.len() == 1 && reasons[0].contains("/no/such/folder"), "{method}: {reasons:?}");
    assert!(matches!(events.last().unwrap().kind, EventKind::PoolEnded), "{method}");
    assert!(by_worker(&events).values().all(|worker| worker.ended.len() == 1 && worker.ready == 0), "{method}");
    let told = |event: &&Event| matches!(event.kind, EventKind::JobFailed { error: JobError::PoolFailed(_), .. });
    assert_eq!(events.iter().filter(told).count(), usize::from(accepted), "{method}");
}

fn who_listens_may_panic_and_is_dropped_at_the_end(method: StartMethod) {
    let (heard, inbox) = std::sync::mpsc::channel();
    let count: Log<()> = Log::default();
    let counted = count.clone();
    let builder = patient(method, 2).on_event(move |event| {
        counted.add(());
        heard.send(event.clone()).unwrap();
        panic!("a listener that panics");
    });
    let pool = builder.build().unwrap();
    assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    pool.join();
    // It ends because nobody can send any more, though the pool is there still.
    assert_eq!(inbox.into_iter().count(), count.len(), "{method}");
    drop(pool);
}
