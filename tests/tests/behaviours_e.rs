//! Behaviours, group E: a worker dies, in every phase of a job and in every way.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::fs;
use std::process;
use std::thread;
use std::time::Duration;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{Death, DidRun, HowItEnded, JobError, Phase, Pool, worker};
use mpm_tests::{Gate, alone, children_of, kill, process_gone, try_kill, wait_until, watchdog};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

/// An exit code, or a signal's number and name.
type Expected = Result<i32, (i32, &'static str)>;

/// Every way, what the parent must see of it, and what the worker's last lines must tell.
const WAYS: [(Way, Expected, &str); 11] = [
    (Way::NullWrite, Err((libc::SIGSEGV, "SIGSEGV")), "about to die: NullWrite"),
    (Way::Segfault, Err((libc::SIGSEGV, "SIGSEGV")), "about to die: Segfault"),
    (Way::Abort, Err((libc::SIGABRT, "SIGABRT")), "about to die: Abort"),
    (Way::Exit(0), Ok(0), "about to die: Exit(0)"),
    (Way::Exit(42), Ok(42), "about to die: Exit(42)"),
    (Way::Kill, Err((libc::SIGKILL, "SIGKILL")), "about to die: Kill"),
    (Way::Terminate, Err((libc::SIGTERM, "SIGTERM")), "about to die: Terminate"),
    (Way::OutOfMemory, Err((libc::SIGABRT, "SIGABRT")), "memory allocation of 4096 bytes failed"),
    (Way::HugeVec, Err((libc::SIGABRT, "SIGABRT")), "memory allocation of 9223372036854775807 bytes failed"),
    (Way::StackOverflow, Err((libc::SIGABRT, "SIGABRT")), "has overflowed its stack"),
    (Way::DoublePanic, Err((libc::SIGABRT, "SIGABRT")), "panic in a destructor during cleanup"),
];

#[track_caller]
fn check_how(death: &Death, expected: Expected) {
    match (&death.how, expected) {
        (HowItEnded::Exited(code), Ok(expected)) => assert_eq!(*code, expected),
        (HowItEnded::Signal { number, name, .. }, Err(expected)) => assert_eq!((*number, name.as_str()), expected),
        (how, expected) => panic!("{how:?} instead of {expected:?}"),
    }
    assert_eq!(death.out_of_memory, Some(false));
    assert_eq!(death.ended_by_pool, None);
    assert!(death.pid != process::id() && !death.elapsed.is_zero() && death.max_rss > 0 && death.attempt == 1, "{death:?}");
}

#[track_caller]
fn death<R: std::fmt::Debug>(outcome: Result<R, JobError>) -> Death {
    match outcome {
        Err(JobError::Died(death)) => *death,
        other => panic!("{other:?}"),
    }
}

/// Without the backtraces that would push the words of interest out of the last lines.
fn terse_pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).env("RUST_BACKTRACE", "0").build().unwrap()
}

#[mpm::test]
fn e76_killed_while_idle() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let mut pids = BTreeSet::new();
        for _ in 0..10 {
            let idle = pool.run(pid::job()).unwrap();
            assert!(pids.insert(idle), "a worker that was killed is back");
            kill(idle, libc::SIGKILL);
            wait_until("the worker is gone", || process_gone(idle));
        }
        assert!(pids.insert(pool.run(pid::job()).unwrap()));
    }
}

#[mpm::test]
fn e76_killed_before_the_first_job() {
    alone("e76_killed_before_the_first_job", || {
        for workers in worker_counts() {
            let pool = pool_of(workers);
            wait_until("all workers are there", || children_of(process::id()).len() == workers);
            let first = children_of(process::id());
            first.iter().for_each(|pid| kill(*pid, libc::SIGKILL));
            wait_until("all workers are gone", || first.iter().all(|pid| process_gone(*pid)));
            for n in 0..20 {
                assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n);
            }
            assert!(!first.contains(&pool.run(pid::job()).unwrap()));
            drop(pool);
            assert_eq!(children_of(process::id()), []);
        }
    });
}

#[mpm::test]
fn e76_killed_while_starting() {
    alone("e76_killed_while_starting", || {
        for _ in 0..10 {
            let pool = pool_of(1);
            let job = pool.submit(pid::job()).unwrap();
            let mut killed = BTreeSet::new();
            // As soon as it exists; not so often that the pool must think that no worker can start.
            wait_until("three workers were killed, or one was too fast", || {
                let victims = children_of(process::id()).into_iter().filter(|pid| !process_gone(*pid));
                killed.extend(victims.filter(|pid| try_kill(*pid, libc::SIGKILL)).take(1));
                killed.len() == 3 || job.is_finished()
            });
            match job.wait() {
                Ok(_) => {}
                Err(JobError::Died(death)) => assert!(killed.contains(&death.pid)),
                Err(other) => panic!("{other}"),
            }
            pool.run(pid::job()).unwrap();
        }
    });
}

/// An argument that kills its worker while it is decoded.
struct DiesInDecoding(Way);

impl Serialize for DiesInDecoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DiesInDecoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let way = Way::deserialize(deserializer)?;
        way.go();
        Ok(Self(way))
    }
}

#[worker]
fn take_dying(owned: DiesInDecoding) -> bool {
    matches!(owned.0, Way::Abort)
}

#[worker]
fn take_dying_borrowed(borrowed: &DiesInDecoding) -> bool {
    matches!(borrowed.0, Way::Abort)
}

#[mpm::test]
fn e77_dies_while_decoding() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = terse_pool(workers);
        for (way, expected, words) in WAYS {
            for borrowed in [false, true] {
                let argument = DiesInDecoding(way);
                let job = if borrowed {
                    pool.submit(take_dying_borrowed::job(&argument)).unwrap()
                } else {
                    pool.submit(take_dying::job(DiesInDecoding(way))).unwrap()
                };
                let death = death(job.wait());
                check_how(&death, expected);
                assert_eq!((death.phase, death.did_run), (Phase::Decoding, DidRun::No), "{way:?}");
                assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
            }
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

#[mpm::test]
fn e78_dies_while_running() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = terse_pool(workers);
        for (way, expected, words) in WAYS {
            let job = pool.submit(die::job(way)).unwrap();
            let id = job.id();
            let death = death(job.wait());
            check_how(&death, expected);
            assert_eq!((death.phase, death.did_run), (Phase::Running, DidRun::Maybe), "{way:?}");
            assert_eq!((death.target, death.job), (die::NAME, id));
            assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2, "after {way:?}");
        }
    }
}

#[mpm::test]
fn e78_killed_from_outside_while_running() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let jobs: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        for (job, signal) in jobs.into_iter().zip([libc::SIGKILL, libc::SIGTERM, libc::SIGUSR2, libc::SIGUSR1].into_iter().cycle())
        {
            let pid = job.report().pid.unwrap();
            kill(pid, signal);
            let death = death(job.wait());
            assert_eq!((death.pid, death.phase), (pid, Phase::Running));
            assert!(matches!(death.how, HowItEnded::Signal { number, .. } if number == signal), "{:?}", death.how);
            assert_eq!(death.out_of_memory, Some(false));
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

/// A result that kills its worker while it is encoded.
#[derive(Debug)]
struct DiesInEncoding(Way);

impl Serialize for DiesInEncoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.go();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DiesInEncoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Way::deserialize(deserializer).map(Self)
    }
}

#[worker]
fn give_dying(way: Way) -> DiesInEncoding {
    DiesInEncoding(way)
}

#[mpm::test]
fn e79_dies_while_encoding() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = terse_pool(workers);
        for (way, expected, words) in WAYS {
            let death = death(pool.run(give_dying::job(way)));
            check_how(&death, expected);
            assert_eq!((death.phase, death.did_run), (Phase::Encoding, DidRun::Yes), "{way:?}");
            assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

/// Does something when it is dropped in a worker: in any process but `parent`.
#[derive(Debug, Serialize, Deserialize)]
struct Dropped {
    parent: u32,
    /// `None` panics.
    way: Option<Way>,
    ballast: Vec<u8>,
}

impl Dropped {
    fn new(way: Option<Way>, ballast: usize) -> Self {
        Self { parent: process::id(), way, ballast: vec![7; ballast] }
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        if process::id() != self.parent {
            match self.way {
                Some(way) => way.go(),
                None => panic!("in the drop"),
            }
        }
    }
}

#[worker]
fn drops_argument(owned: Dropped) -> usize {
    owned.ballast.len()
}

#[worker]
fn drops_borrowed(borrowed: &Dropped) -> usize {
    borrowed.ballast.len()
}

#[worker]
fn drops_result(parent: u32, way: Option<Way>, ballast: usize) -> Dropped {
    Dropped { parent, way, ballast: vec![7; ballast] }
}

#[mpm::test]
fn e78_dies_in_the_drop_of_an_argument_before_it_returns() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let death = death(pool.run(drops_argument::job(Dropped::new(Some(Way::Abort), 10))));
    check_how(&death, Err((libc::SIGABRT, "SIGABRT")));
    assert_eq!((death.phase, death.did_run), (Phase::Running, DidRun::Maybe));
    assert!(pool.run(drops_argument::job(Dropped::new(None, 10))).unwrap_err().is_panicked());
}

#[mpm::test]
fn e81_dies_when_the_result_has_been_sent() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for way in [Way::Exit(0), Way::Exit(1), Way::Abort, Way::Kill] {
            // In the ring, and in a segment of its own.
            for ballast in [10, 300_000] {
                let argument = Dropped::new(Some(way), ballast);
                assert_eq!(pool.run(drops_borrowed::job(&argument)).unwrap(), ballast);
                let result = pool.run(drops_result::job(process::id(), Some(way), ballast)).unwrap();
                assert_eq!(result.ballast.len(), ballast);
            }
        }
        // Many at once: each worker dies of each job, and no job is hurt.
        let parent = process::id();
        let inputs = (0..40).map(|_| (parent, Some(Way::Exit(3)), 10));
        assert_eq!(pool.map::<drops_result>(inputs).filter(Result::is_ok).count(), 40);
    }
}

#[mpm::test]
fn e81_panics_when_the_result_has_been_sent() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let worker = pool.run(pid::job()).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.run(drops_borrowed::job(&Dropped::new(None, 5))).unwrap(), 5);
        assert!(pool.run(drops_result::job(process::id(), None, 5)).is_ok());
        assert_eq!(pool.run(pid::job()).unwrap(), worker, "the worker goes on");
    }
}

#[mpm::test]
fn e83_only_the_culprit_fails() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let jobs: Vec<_> = (0..100).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let victim = jobs.iter().find_map(|job| job.report().pid).unwrap();
        kill(victim, libc::SIGKILL);
        wait_until("the worker is gone", || process_gone(victim));
        gate.open();
        let outcomes: Vec<_> = jobs.into_iter().map(mpm::JobHandle::wait).collect();
        let deaths: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!(deaths.len(), 1, "{deaths:?}");
        assert_eq!(deaths[0].death().map(|death| death.pid), Some(victim), "{deaths:?}");
    }
}

#[worker]
fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

/// Kills a worker, whatever it does, whenever seven outcomes have come, and checks every outcome.
fn under_fire(workers: usize, jobs: usize, size: impl Fn(usize) -> usize) {
    let pool = pool_of(workers);
    let input = |n: usize| (0..size(n)).map(|at| (n + at) as u8).collect::<Vec<_>>();
    let (mut kills, mut deaths) = (0, 0);
    for (n, result) in pool.map::<reverse>((0..jobs).map(input)).look_ahead(10 * workers).enumerate() {
        match result {
            Ok(bytes) => assert!(bytes.into_iter().rev().eq(input(n)), "{n}"),
            Err(JobError::Died(death)) => {
                check_how(&death, Err((libc::SIGKILL, "SIGKILL")));
                deaths += 1;
            }
            Err(other) => panic!("{n}: {other}"),
        }
        if n % 7 == 0 {
            let children = children_of(process::id());
            let victim = children.get(n / 7 % children.len().max(1));
            kills += usize::from(victim.is_some_and(|pid| try_kill(*pid, libc::SIGKILL)));
            // Five deaths without a job in between would be workers that cannot start. The next kill comes at any moment again.
            assert_eq!(pool.run(double::job(1)).unwrap(), 2);
        }
    }
    assert!(kills > 0 && deaths <= kills, "{deaths} deaths of {kills} kills");
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[mpm::test]
fn e83_killed_at_any_moment() {
    alone("e83_killed_at_any_moment", || worker_counts().into_iter().for_each(|workers| under_fire(workers, 300, |n| n % 50)));
}

#[mpm::test]
fn e83_killed_at_any_moment_with_large_payloads() {
    alone("e83_killed_at_any_moment_with_large_payloads", || {
        worker_counts().into_iter().for_each(|workers| under_fire(workers, 60, |n| [10, 30_000, 200_000, 2_000_000][n % 4]));
    });
}

#[worker]
fn die_if(way: Option<Way>) {
    if let Some(way) = way {
        way.go();
    }
}

#[mpm::test]
fn e84_deaths_in_a_map() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        for every in [1, 3] {
            let inputs = (0..30).map(|n| (n % every == 0).then_some(Way::Exit(1)));
            for (n, outcome) in pool.map::<die_if>(inputs.clone()).enumerate() {
                assert_eq!(outcome.is_err_and(|error| error.is_died()), n % every == 0, "{n}");
            }
            for (n, outcome) in pool.map_unordered::<die_if>(inputs) {
                assert_eq!(outcome.is_err_and(|error| error.is_died()), n % every == 0, "{n}");
            }
        }
    }
}

#[mpm::test]
fn e85_a_failed_pool_is_stable() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Pool::builder().workers(workers).cwd("/no/such/folder").build().unwrap();
        let reason = match pool.run(pid::job()) {
            Err(JobError::PoolFailed(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason.contains("/no/such/folder") && reason.contains("mpm-"), "{reason}");
        for _ in 0..10 {
            let refused = pool.submit(pid::job()).unwrap_err();
            assert!(refused.is_failed() && !refused.is_closed() && refused.to_string().contains(&*reason), "{refused}");
            assert!(pool.try_submit(pid::job()).unwrap_err().is_failed());
            assert!(matches!(pool.run(pid::job()), Err(JobError::PoolFailed(again)) if again == reason));
            assert!(pool.map::<pid>([()]).all(|outcome| matches!(outcome, Err(JobError::PoolFailed(_)))));
        }
        let error = mpm::Error::from(pool.submit(pid::job()).unwrap_err());
        assert!(error.is_failed() && error.to_string().contains("/no/such/folder"), "{error}");
        pool.join();
        pool.kill();
        assert!(pool.submit(pid::job()).unwrap_err().is_failed(), "the reason outlives the end");
        assert!(pool_of(workers).run(pid::job()).is_ok(), "another pool is another pool");
    }
}

#[mpm::test]
fn e86_workers_that_cannot_start_fail_the_jobs_that_wait() {
    let _guard = watchdog();
    alone("e86_workers_that_cannot_start_fail_the_jobs_that_wait", || {
        for workers in worker_counts() {
            let pool = Pool::builder().workers(workers).queue(100).cwd("/no/such/folder").build().unwrap();
            let jobs: Vec<_> = (0..50).map_while(|_| pool.submit(pid::job()).ok()).collect();
            for job in jobs {
                assert!(matches!(job.wait(), Err(JobError::PoolFailed(_))));
            }
            drop(pool);
            assert_eq!(children_of(process::id()), []);
        }
    });
}

#[mpm::test]
fn e89_the_pool_is_dropped_and_then_a_job_crashes() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(6).grace(Duration::from_secs(3600)).build().unwrap();
    let good: Vec<_> = (0..5).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    let bad = pool.submit(pass_then_die::job(&path)).unwrap();
    gate.wait_for(6);
    let pids: Vec<_> = good.iter().filter_map(|job| job.report().pid).chain(bad.report().pid).collect();
    thread::scope(|scope| {
        scope.spawn(|| drop(pool));
        gate.open();
    });
    assert!(good.into_iter().all(|job| job.wait().is_ok()));
    check_how(&death(bad.wait()), Err((libc::SIGSEGV, "SIGSEGV")));
    assert!(pids.len() == 6 && pids.into_iter().all(process_gone));
}

#[worker]
fn pass_then_die(gate: &str) {
    mpm_tests::wait_at(gate);
    Way::NullWrite.go();
}

#[mpm::test]
fn e91_a_stopped_worker_ends_with_the_pool() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    for round in 1..=2 {
        let pool = pool_of(2);
        let job = pool.submit(pass::job(&path)).unwrap();
        gate.wait_for(round);
        let busy = job.report().pid.unwrap();
        kill(busy, libc::SIGSTOP);
        let idle = pool.run(pid::job()).unwrap();
        kill(idle, libc::SIGSTOP);
        if round == 1 {
            pool.kill()
        } else {
            pool.shutdown(Duration::from_millis(10))
        }
        assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
        assert!(process_gone(busy) && process_gone(idle));
    }
}

#[mpm::test]
fn e91_a_stopped_worker_goes_on_where_it_was() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let worker = pool.run(pid::job()).unwrap();
    kill(worker, libc::SIGSTOP);
    wait_until("every thread of the worker stands still", || {
        let threads = fs::read_dir(format!("/proc/{worker}/task")).unwrap().flatten();
        threads.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap()).all(|stat| stat.contains(") T "))
    });
    let mut job = pool.submit(pid::job()).unwrap();
    assert!(job.wait_timeout(Duration::from_millis(50)).is_none());
    kill(worker, libc::SIGCONT);
    assert_eq!(job.wait().unwrap(), worker);
}
