//! A system that has no descriptor or process left: clear errors, no hang, and it goes on when there is room again.

use std::fs::File;
use std::process;

use mpm::{JobError, Pool, Process, StartMethod};
use mpm_tests::{alone, children_of, kill, limit_descriptors, wait_until};

use crate::pools::{WITH_TEMPLATE, begin, build, dies, double, isolated, parent_of, pid, pool_of, state_of};

/// Takes all descriptors that this process may still have.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[mpm::test]
fn no_descriptor_left() {
    alone("limits::no_descriptor_left", || {
        limit_descriptors(100);
        for method in StartMethod::ALL {
            let pool = pool_of(2, method);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            // With so many left free, from none to all that a start needs.
            for free in 0..16 {
                let mut taken = take_all();
                taken.truncate(taken.len().saturating_sub(free));
                let _ = pool.run(dies::job(libc::SIGKILL));
                if let Err(error) = begin(Process::builder(double::job(2)), method).and_then(Process::wait) {
                    assert!(
                        error.to_string().contains("os error") || error.to_string().contains("template"),
                        "{method} {free}: {error}"
                    );
                }
                if let Err(error) = isolated(|| 5) {
                    assert!(error.to_string().contains("os error"), "{method} {free}: {error}");
                }
                // The other worker goes on, or was the one that died before: then its successor waits for room.
                if let Err(error) = pool.submit(double::job(3)).map(drop) {
                    assert!(error.to_string().contains("os error"), "{method} {free}: {error}");
                }
                drop(taken);
            }
            match pool.run(double::job(4)) {
                Ok(value) => assert_eq!(value, 8),
                // After so many failures it may have given up, and says why.
                Err(JobError::PoolFailed(reason)) => {
                    assert!(reason.contains("os error") || reason.contains("template"), "{method}: {reason}")
                }
                Err(error) => panic!("{method}: {error}"),
            }
            drop(pool);
            assert_eq!(pool_of(2, method).run(double::job(5)).unwrap(), 10, "{method}: there is room again");
            assert_eq!(begin(Process::builder(double::job(6)), method).unwrap().wait().unwrap(), 12);
        }
        wait_until("nothing is left", || children_of(process::id()).is_empty());
    });
}

/// The template's answer brings a descriptor. When there is no room for it, the worker is lost, but nothing hangs.
#[mpm::test]
fn no_descriptor_left_for_an_answer() {
    alone("limits::no_descriptor_left_for_an_answer", || {
        limit_descriptors(100);
        for method in WITH_TEMPLATE {
            let pool = build(Pool::builder().workers(1), method);
            let template = parent_of(pool.run(pid::job()).unwrap());
            kill(template, libc::SIGSTOP);
            wait_until("it is stopped", || state_of(template) == Some('T'));
            // A second later it is buried without the template, and its successor is ordered.
            assert!(pool.run(dies::job(libc::SIGKILL)).unwrap_err().is_died());
            let job = pool.submit(double::job(2)).unwrap();
            let taken = take_all();
            kill(template, libc::SIGCONT);
            let timeout = std::time::Duration::from_secs(1);
            let _ = mpm::wait_all_timeout(std::slice::from_ref(&job), timeout);
            drop(taken);
            match job.wait() {
                Ok(value) => assert_eq!(value, 4),
                Err(JobError::PoolFailed(reason)) => {
                    let of_template = method == StartMethod::Fork && reason.contains("template");
                    assert!(of_template || reason.contains("os error 24"), "{method}: {reason}");
                }
                Err(error) => panic!("{method}: {error}"),
            }
            drop(pool);
            wait_until("nothing is left", || children_of(process::id()).is_empty());
        }
    });
}

/// More processes than this user may have.
#[mpm::test]
fn no_process_left() {
    alone("limits::no_process_left", || {
        if !mpm_tests::become_nobody() {
            println!("not root: limits of others would be hit");
            return;
        }
        for method in StartMethod::ALL {
            let pool = pool_of(1, method);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
            let limit = mpm_tests::limit_processes(1);
            match pool.run(dies::job(libc::SIGKILL)) {
                Err(JobError::Died(_)) => {}
                other => panic!("{method}: {other:?}"),
            }
            let error = begin(Process::builder(double::job(2)), method).map(drop).unwrap_err().to_string();
            assert!(error.contains("os error 11"), "{method}: {error}");
            let error = isolated(|| 1).unwrap_err().to_string();
            assert!(error.contains("os error 11"), "{error}");
            drop(limit);
            match pool.run(double::job(3)) {
                Ok(value) => assert_eq!(value, 6),
                Err(error) => assert!(error.to_string().contains("os error 11"), "{method}: {error}"),
            }
            assert_eq!(begin(Process::builder(double::job(4)), method).unwrap().wait().unwrap(), 8);
            drop(pool);
            assert_eq!(pool_of(1, method).run(double::job(5)).unwrap(), 10);
        }
    });
}
