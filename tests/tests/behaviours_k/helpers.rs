//! Behaviour 162: the one helper process that there is, the template of `ForkServer` and `Fork`. Killed, it is restarted, and one event
//! says so; one of `Fork` cannot be, and the pool that needs it fails with that reason. Polite signals it ignores.

use std::fs;
use std::process;

use mpm::{Event, EventKind, JobError, Pool, StartMethod, worker};
use mpm_tests::{Log, kill, process_gone, templates_of, wait_until};

use crate::pools::{build, dies, parent_of, pid};

conform!(k162_helper_killed, k162_helper_heeds_neither_interrupt_nor_terminate);

/// A pool that tells, with a template that no other pool has.
fn telling(method: StartMethod) -> (Pool, Log<Event>) {
    let log: Log<Event> = Log::default();
    let events = log.clone();
    let builder = Pool::builder().workers(1).env("TEMPLATE", "of its own");
    (build(builder.on_event(move |event| events.add(event.clone())), method), log)
}

/// Has the only worker replaced by another one.
fn replace(pool: &Pool) {
    assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
}

fn k162_helper_killed(method: StartMethod) {
    let (pool, log) = telling(method);
    let mut worker = pool.run(pid::job()).unwrap();
    if method == StartMethod::Spawn {
        return assert!(templates_of(process::id()).is_empty(), "it needs none");
    }
    for _ in 0..3 {
        let helper = parent_of(worker);
        assert_ne!(helper, process::id());
        kill(helper, libc::SIGKILL);
        wait_until("the helper is gone", || process_gone(helper));
        assert_eq!(pool.run(pid::job()).unwrap(), worker, "nobody needs it now");
        replace(&pool);
        let killed = |reason: &str| reason.contains(&format!("the template (pid {helper}) was killed by SIGKILL"));
        if method == StartMethod::Fork {
            let error = pool.run(pid::job()).unwrap_err();
            assert!(matches!(&error, JobError::PoolFailed(reason) if killed(reason)), "{error}");
            pool.join();
            let told = log.take();
            let failures =
                told.iter().filter(|event| matches!(&event.kind, EventKind::PoolFailed { reason, .. } if killed(reason)));
            assert_eq!(failures.count(), 1, "{told:?}");
            return;
        }
        worker = pool.run(pid::job()).unwrap();
        assert_ne!(parent_of(worker), helper);
        // Told by a thread of its own, and in order.
        let is_new = |event: &Event| matches!(&event.kind, EventKind::WorkerReady { pid, .. } if *pid == worker);
        wait_until("the new worker is told", || log.peek(|told| told.iter().any(is_new)));
        let told = log.take();
        let restarts: Vec<_> =
            told.iter().filter(|event| matches!(event.kind, EventKind::TemplateRestarted { .. })).map(Event::to_string).collect();
        assert!(restarts.len() == 1 && killed(&restarts[0]), "{told:?}");
        assert!(!told.iter().any(|event| matches!(event.kind, EventKind::StartFailed { .. })), "{told:?}");
    }
    // One that is replaced for other reasons has the same template.
    replace(&pool);
    pool.join();
    assert!(!log.take().iter().any(|event| matches!(event.kind, EventKind::TemplateRestarted { .. })));
}

/// The set of signals that the calling process ignores.
#[worker]
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

fn k162_helper_heeds_neither_interrupt_nor_terminate(method: StartMethod) {
    let (pool, log) = telling(method);
    let helper = parent_of(pool.run(pid::job()).unwrap());
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGINT, libc::SIGTERM] {
        if method != StartMethod::Spawn {
            kill(helper, signal);
        }
        // It forks the next one.
        replace(&pool);
        assert_eq!(parent_of(pool.run(pid::job()).unwrap()), helper);
        // Workers end by SIGTERM as ever.
        assert_eq!(pool.run(ignored::job()).unwrap() & (1 << (libc::SIGTERM - 1)), 0);
    }
    let gone = pool.run(pid::job()).unwrap();
    kill(gone, libc::SIGTERM);
    wait_until("it has ended", || process_gone(gone));
    assert_ne!(pool.run(pid::job()).unwrap(), gone);
    pool.join();
    assert!(!log.take().iter().any(|event| matches!(event.kind, EventKind::TemplateRestarted { .. })));
}
