//! Attacks on the template: killed or stopped while its workers run, while it forks them, while it preloads, while nobody needs it.
//!
//! | start method | without its template |
//! |---|---|
//! | forkserver | running jobs go on; the next start makes a new template |
//! | fork | running jobs go on; the first replacement that is needed makes the pool fail with the reason |

use std::fs;
use std::process;
use std::thread;
use std::time::Duration;

use crate::pools::{WITH_TEMPLATE, begin, build, dies, double, parent_of, pass, pid, pool_of, state_of, template};
use mpm::{HowItEnded, JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Gate, alone, children_of, kill, process_gone, templates_of, try_kill, wait_until};
use tempfile::TempDir;

const SIGNALS: [i32; 4] = [libc::SIGKILL, libc::SIGQUIT, libc::SIGHUP, libc::SIGABRT];

/// That the pool has given up because of its template, and says so.
#[track_caller]
fn has_failed(pool: &Pool, error: &JobError) {
    let text = error.to_string();
    assert!(matches!(error, JobError::PoolFailed(_)) && text.contains("template"), "{text}");
    assert!(pool.submit(double::job(1)).unwrap_err().to_string().contains("template"));
}

#[mpm::test]
fn killed_while_jobs_run() {
    alone("template::killed_while_jobs_run", || {
        for (method, signal) in WITH_TEMPLATE.into_iter().flat_map(|method| SIGNALS.map(|signal| (method, signal))) {
            let folder = TempDir::new().unwrap();
            let gate = Gate::new(folder.path(), "gate");
            let path = gate.path();
            // An environment of its own: no template that another pool has left will do.
            let pool = build(Pool::builder().workers(2).env("ROUND", format!("{method}{signal}")), method);
            let jobs = [pool.submit(pass::job(&path)).unwrap(), pool.submit(pass::job(&path)).unwrap()];
            gate.wait_for(2);
            let last = parent_of(jobs[0].report().pid.unwrap());
            kill(last, signal);
            wait_until("the template is gone", || process_gone(last));
            gate.open();
            let pids = jobs.map(|job| job.wait().unwrap());
            assert!((0..50).all(|n| pool.run(double::job(n)).unwrap() == 2 * n), "its workers go on");
            assert!(pids.contains(&pool.run(pid::job()).unwrap()));
            // Now a replacement is needed.
            for _ in 0..2 {
                let Err(JobError::Died(death)) = pool.run(dies::job(libc::SIGUSR1)) else { panic!("{method}: no death") };
                let HowItEnded::Signal { number, .. } = death.how else { panic!("{method} {signal}: {death}") };
                assert_eq!(number, libc::SIGUSR1, "{death}");
            }
            if method == StartMethod::Fork {
                has_failed(&pool, &pool.run(double::job(1)).unwrap_err());
            } else {
                assert_eq!(pool.run(double::job(7)).unwrap(), 14);
                assert_ne!(parent_of(pool.run(pid::job()).unwrap()), last);
            }
        }
    });
}

#[mpm::test]
fn killed_while_nobody_needs_it() {
    alone("template::killed_while_nobody_needs_it", || {
        assert_eq!(pool_of(1, StartMethod::ForkServer).run(double::job(1)).unwrap(), 2);
        for round in 0..30 {
            let victim = template();
            kill(victim, SIGNALS[round % SIGNALS.len()]);
            // At once, or when its end has been seen.
            if round % 2 == 0 {
                wait_until("the template is gone", || process_gone(victim));
            }
            if round % 3 == 0 {
                let process = Process::builder(double::job(1)).start_method(StartMethod::ForkServer).start();
                match process {
                    Ok(process) => assert_eq!(process.wait().unwrap(), 2),
                    // Its end had not been seen yet.
                    Err(error) => assert!(round % 2 == 1 && error.to_string().contains("template"), "{error}"),
                }
            }
            assert_eq!(pool_of(1, StartMethod::ForkServer).run(double::job(1)).unwrap(), 2);
            wait_until("there is one template", || templates_of(process::id()).len() == 1);
        }
    });
}

/// How a worker of a former template ended is told by the system, not by the template of today.
#[mpm::test]
fn workers_of_a_former_template_are_buried_as_they_died() {
    alone("template::workers_of_a_former_template_are_buried_as_they_died", || {
        let pool = pool_of(3, StartMethod::ForkServer);
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let jobs: Vec<_> = (0..3).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(3);
        let old: Vec<u32> = jobs.iter().map(|job| job.report().pid.unwrap()).collect();
        let former = template();
        kill(former, libc::SIGKILL);
        wait_until("the template is gone", || process_gone(former));
        kill(old[0], libc::SIGKILL);
        // The replacement has a template of its own.
        wait_until("there is another template", || templates_of(process::id()).iter().any(|pid| *pid != former));
        let mut jobs = jobs.into_iter();
        assert!(jobs.next().unwrap().wait().unwrap_err().is_died());
        for worker in &old[1..] {
            assert!(!process_gone(*worker));
            kill(*worker, libc::SIGUSR2);
            let Err(JobError::Died(death)) = jobs.next().unwrap().wait() else { panic!("no death") };
            assert!(matches!(death.how, HowItEnded::Signal { number: libc::SIGUSR2, .. }), "{death}");
        }
        assert_eq!(pool.run(double::job(3)).unwrap(), 6);
    });
}

#[mpm::test]
fn stopped_for_a_while() {
    alone("template::stopped_for_a_while", || {
        for method in WITH_TEMPLATE {
            let pool = build(Pool::builder().workers(1).env("ROUND", method.name()), method);
            let template = parent_of(pool.run(pid::job()).unwrap());
            for _ in 0..5 {
                kill(template, libc::SIGSTOP);
                wait_until("it is stopped", || state_of(template) == Some('T'));
                assert_eq!(pool.run(double::job(4)).unwrap(), 8, "its workers do not need it");
                let dying = pool.submit(dies::job(libc::SIGKILL)).unwrap();
                let next = pool.submit(pid::job()).unwrap();
                assert!(!dying.is_finished() || dying.report().pid.is_some());
                kill(template, libc::SIGCONT);
                assert!(dying.wait().unwrap_err().is_died());
                assert!(next.wait().is_ok());
            }
        }
    });
}

/// Nobody waits for ever for a template that is stopped for good.
#[mpm::test]
fn stopped_for_good() {
    alone("template::stopped_for_good", || {
        for method in WITH_TEMPLATE {
            for end in 0..4 {
                let builder = Pool::builder().workers(2).env("ROUND", format!("{method}{end}"));
                let pool = build(builder.start_timeout(Duration::from_secs(5)), method);
                // By both, so that none is still to be forked.
                let pids = pool.broadcast(pid::job()).unwrap().wait().into_iter().map(|(_, pid)| pid.unwrap());
                let worker = pids.last().unwrap();
                let template = parent_of(worker);
                kill(template, libc::SIGSTOP);
                match end {
                    0 => {
                        assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
                        assert!(pool.run(double::job(2)).is_ok(), "by the other one");
                        assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
                        match method {
                            StartMethod::Fork => has_failed(&pool, &pool.run(double::job(1)).unwrap_err()),
                            _ => assert_eq!(pool.run(double::job(3)).unwrap(), 6),
                        }
                    }
                    1 => pool.kill(),
                    2 => pool.join(),
                    _ => {}
                }
                drop(pool);
                assert!(process_gone(worker), "{method}: a worker outlives its pool");
                wait_until("the template is gone", || {
                    !templates_of(process::id()).contains(&template) || method == StartMethod::ForkServer
                });
            }
        }
    });
}

#[worker]
fn waits(gate: &str) {
    mpm_tests::wait_at(gate);
}

#[mpm::test]
fn killed_while_it_preloads() {
    alone("template::killed_while_it_preloads", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        // One worker: several starts that fail with one template count each.
        let pool = build(Pool::builder().workers(1).preload(waits::job(&path)), StartMethod::ForkServer);
        let job = pool.submit(double::job(21)).unwrap();
        for round in 1..=3 {
            gate.wait_for(round);
            kill(template(), libc::SIGKILL);
        }
        gate.wait_for(4);
        gate.open();
        assert_eq!(job.wait().unwrap(), 42);
    });
}

/// One that is forked from this process preloads before it serves as well, and cannot be made anew.
#[mpm::test]
fn a_copy_killed_while_it_preloads() {
    alone("template::a_copy_killed_while_it_preloads", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = build(Pool::builder().workers(2).preload(waits::job(&path)), StartMethod::Fork);
        let job = pool.submit(double::job(21)).unwrap();
        gate.wait_for(1);
        kill(template(), libc::SIGKILL);
        let error = job.wait().unwrap_err();
        has_failed(&pool, &error);
        assert!(error.to_string().contains("SIGKILL") && error.to_string().contains("cannot be made anew"), "{error}");
    });
}

/// Kills the template again and again, whatever it does just then.
#[mpm::test]
fn killed_at_random_while_workers_come_and_go() {
    alone("template::killed_at_random_while_workers_come_and_go", || {
        for round in 0..40 {
            let pool = build(Pool::builder().workers(3).env("ROUND", round.to_string()), StartMethod::ForkServer);
            let jobs: Vec<_> = (0..60).map(|n| pool.submit(if_odd_dies::job(n)).unwrap()).collect();
            thread::scope(|scope| {
                let killer = scope.spawn(|| {
                    for n in 0..3 {
                        let pids = templates_of(process::id());
                        pids.iter().for_each(|pid| {
                            let _ = try_kill(*pid, libc::SIGKILL);
                        });
                        (0..round * 50 * n).for_each(|_| thread::yield_now());
                    }
                });
                for (n, job) in jobs.into_iter().enumerate() {
                    match job.wait() {
                        Ok(value) => assert!(n % 20 != 7 && value == 2 * n as u64),
                        Err(JobError::Died(_)) if n % 20 == 7 => {}
                        // A template that dies as often as it is started is a reason to give up.
                        Err(JobError::PoolFailed(reason)) => assert!(reason.contains("template"), "{reason}"),
                        Err(error) => panic!("job {n}: {error}"),
                    }
                }
                killer.join().unwrap();
            });
            drop(pool);
            wait_until("nothing is left", || children_of(process::id()).is_empty());
        }
    });
}

#[worker]
fn if_odd_dies(n: u64) -> u64 {
    if n % 20 == 7 {
        mpm_tests::raise(libc::SIGKILL);
    }
    2 * n
}

/// A start that fails because the template died has not run the job.
#[mpm::test]
fn a_process_whose_start_failed_has_not_run() {
    alone("template::a_process_whose_start_failed_has_not_run", || {
        let folder = TempDir::new().unwrap();
        let marks = folder.path().join("marks");
        let mut failed = 0;
        for round in 0..200_u32 {
            fs::write(&marks, "").unwrap();
            let started = thread::scope(|scope| {
                scope.spawn(|| {
                    (0..round * 20).for_each(|_| thread::yield_now());
                    templates_of(process::id()).iter().for_each(|pid| {
                        let _ = try_kill(*pid, libc::SIGKILL);
                    });
                });
                begin(Process::builder(marks_file::job(marks.to_str().unwrap())), StartMethod::ForkServer)
            });
            match started {
                Ok(process) => process.wait().unwrap(),
                Err(error) => {
                    failed += 1;
                    let text = error.to_string();
                    assert!(text.contains("template") || text.contains("SIGKILL"), "{text}");
                    wait_until("nothing is left", || children_of(process::id()).is_empty());
                    assert_eq!(fs::read_to_string(&marks).unwrap(), "", "round {round}: it ran");
                }
            }
        }
        println!("{failed} of 200 starts failed");
    });
}

#[worker]
fn marks_file(path: &str) {
    fs::write(path, "ran").unwrap();
}
