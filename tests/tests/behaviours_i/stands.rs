//! Behaviour 91: a worker that is stopped or wedged, and not dead, is found and replaced.

use std::time::Duration;

use mpm::{EndReason, JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, alone, kill, process_gone, readable, try_kill, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid, state_of};

conform!(e91_stopped_while_idle, e91_stopped_while_busy, e91_stopped_with_many_short_jobs, e91_wedged_between_two_jobs);

const SOON: Duration = Duration::from_millis(200);

#[track_caller]
fn stop(worker: u32) {
    kill(worker, libc::SIGSTOP);
    // It may have been found and killed by then.
    wait_until("it is stopped", || !matches!(state_of(worker), Some('R' | 'S' | 'D')));
}

fn e91_stopped_while_idle(method: StartMethod) {
    for workers in [1, 2] {
        let pool = build(Pool::builder().workers(workers).unresponsive(SOON), method);
        for _ in 0..3 {
            let stopped = pool.run(pid::job()).unwrap();
            stop(stopped);
            // The one that was used last gets the job, and others behind it.
            let jobs: Vec<_> = (0..5).map(|_| pool.submit(pid::job()).unwrap()).collect();
            assert!(jobs.into_iter().all(|job| job.wait().unwrap() != stopped));
            wait_until("it is gone", || process_gone(stopped));
        }
    }
}

fn e91_stopped_while_busy(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(2).unresponsive(SOON), method);
    for round in 0..3 {
        let gate = Gate::new(folder.path(), &format!("gate {round}"));
        let path = gate.path();
        let jobs = [(); 2].map(|()| pool.submit(pass::job(&path)).unwrap());
        gate.wait_for(2);
        let [stopped, other] = [0, 1].map(|n: usize| jobs[n].report().pid.unwrap());
        stop(stopped);
        let behind: Vec<_> = (0..5).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        let [job, second] = jobs;
        let error = job.wait().unwrap_err();
        let JobError::Died(death) = &error else { panic!("{error}") };
        assert_eq!((death.pid, death.reason, death.out_of_memory), (stopped, EndReason::Unresponsive, Some(false)));
        assert!(death.ended_by_pool.as_deref().is_some_and(|text| text.contains("stopped by a signal")), "{error}");
        // The other one sleeps for longer than that, and lives.
        assert!((0..).zip(behind).all(|(n, job)| job.wait().unwrap() == 2 * n));
        gate.open();
        assert_eq!(second.wait().unwrap(), other);
    }
}

fn e91_stopped_with_many_short_jobs(method: StartMethod) {
    for round in 0..4 {
        let pool = build(Pool::builder().workers(2).unresponsive(SOON), method);
        // They count as short from now on, and are handed over many at a time.
        (0..200).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
        let worker = pool.run(pid::job()).unwrap();
        let mut outcomes = pool.map::<double>(0..20_000);
        let mut died = 0;
        for n in 0..20_000 {
            if n == 100 + 700 * round {
                // It may have stood for too long already.
                let _ = try_kill(worker, libc::SIGSTOP);
            }
            match outcomes.next().unwrap() {
                Ok(value) => assert_eq!(value, 2 * n),
                Err(JobError::Died(death)) => {
                    assert_eq!((death.pid, death.reason), (worker, EndReason::Unresponsive));
                    died += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(died <= 1, "at most the one that ran");
    }
}

/// Hangs in its worker when it is dropped there, after its job's answer.
struct Clings(u32);

impl Drop for Clings {
    fn drop(&mut self) {
        if std::process::id() != self.0 {
            assert_eq!(readable(&[], None), []);
        }
    }
}

impl serde::Serialize for Clings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Clings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

#[worker]
fn clings(to: &Clings) -> u32 {
    assert_ne!(to.0, 0);
    std::process::id()
}

fn e91_wedged_between_two_jobs(method: StartMethod) {
    let pool = build(Pool::builder().workers(1).unresponsive(SOON), method);
    let to = Clings(std::process::id());
    let wedged = pool.run(clings::job(&to)).unwrap();
    let jobs: Vec<_> = (0..3).map(|_| pool.submit(pid::job()).unwrap()).collect();
    assert!(jobs.into_iter().all(|job| job.wait().unwrap() != wedged));
    wait_until("it is gone", || process_gone(wedged));
}

/// Who goes on in time loses nothing, and a job that takes long is none that stands still.
#[mpm::test]
fn e91_who_goes_on_lives() {
    alone("stands::e91_who_goes_on_lives", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = build(Pool::builder().workers(1).unresponsive(Duration::MAX), StartMethod::ForkServer);
        let worker = pool.run(pid::job()).unwrap();
        let running = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        stop(worker);
        assert!(readable(&[], Some(2 * SOON)).is_empty());
        kill(worker, libc::SIGCONT);
        gate.open();
        assert_eq!(running.wait().unwrap(), worker);

        let gate = Gate::new(folder.path(), "another");
        let path = gate.path();
        let running = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(1);
        let mut limits = pool.limits();
        limits.unresponsive = Some(SOON);
        pool.set_limits(limits).unwrap();
        assert!(readable(&[], Some(3 * SOON)).is_empty());
        gate.open();
        assert_eq!(running.wait().unwrap(), worker);
    });
}
