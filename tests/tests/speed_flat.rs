//! Short jobs stay with as many workers as there are CPUs, so that what a job costs does not grow with the number of workers. Those that
//! stay behind a job that turns out to be long run elsewhere all the same while it runs, however they are waited for.
//!
//! Each test has short jobs first, so that the next ones count as short; then some workers are at gates that stay closed, and what is
//! asked for comes to its end meanwhile. A pool that waited for a gate would wait for ever.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

use std::thread;
use std::time::Duration;

use mpm::{Builder, JobError, JobHandle, Pool, worker};
use mpm_tests::{Gate, block_on, kill, wait_at, wait_until, watchdog};
use tempfile::TempDir;

#[worker]
fn double(n: u64) -> u64 {
    2 * n
}

/// Waits at a gate and says which process it was.
#[worker]
fn pass(gate: &str) -> u32 {
    wait_at(gate);
    std::process::id()
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// How many workers are at gates: as many as there are CPUs, which count as those that are at work; one more, whose job stays behind
/// another one for a while; all but one.
fn blocked_counts() -> [usize; 3] {
    [cpus(), cpus() + 1, 3 * cpus() - 1]
}

/// Jobs of the pool count as short from now on.
fn settle(pool: &Pool) {
    (0..200).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
}

/// Has all workers wait for each other; which processes they are.
fn meet(pool: &Pool) -> Vec<u32> {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let all: Vec<_> = (0..3 * cpus()).map(|_| pool.submit(pass::job(&gate.path())).unwrap()).collect();
    gate.wait_for(3 * cpus() as u64);
    gate.open();
    all.into_iter().map(|job| job.wait().unwrap()).collect()
}

/// A pool some of whose workers are each at a gate of its own.
struct Blocked {
    pool: Pool,
    gates: Vec<Gate>,
    at_gates: Vec<JobHandle<u32>>,
    _folder: TempDir,
}

impl Blocked {
    fn new(count: usize) -> Self {
        Self::with(count, Pool::builder())
    }

    fn with(count: usize, builder: Builder) -> Self {
        let folder = TempDir::new().unwrap();
        let pool = builder.workers(3 * cpus()).build().unwrap();
        meet(&pool);
        settle(&pool);
        let gates: Vec<Gate> = (0..count).map(|n| Gate::new(folder.path(), &format!("gate {n}"))).collect();
        let at_gates = gates.iter().map(|gate| pool.submit(pass::job(&gate.path())).unwrap()).collect();
        gates.iter().for_each(|gate| gate.wait_for(1));
        Self { pool, gates, at_gates, _folder: folder }
    }

    fn submitted(&self, count: u64) -> Vec<JobHandle<u64>> {
        (0..count).map(|n| self.pool.submit(double::job(n)).unwrap()).collect()
    }

    /// Opens the gates, and sees that what was there comes to its end.
    fn open(self) {
        assert!(self.at_gates.iter().all(|job| !job.is_finished()), "nobody has passed a closed gate");
        self.gates.iter().for_each(Gate::open);
        self.at_gates.into_iter().for_each(|job| assert!(job.wait().is_ok()));
    }
}

fn collected(jobs: Vec<JobHandle<u64>>) {
    (0..).zip(jobs).for_each(|(n, job)| assert_eq!(job.wait().unwrap(), 2 * n));
}

#[mpm::test]
fn short_jobs_end_while_as_many_workers_as_cpus_have_long_ones() {
    let _watchdog = watchdog();
    for count in blocked_counts() {
        let blocked = Blocked::new(count);
        for jobs in [1, 2, 7, 300, 3_000] {
            collected(blocked.submitted(jobs));
        }
        blocked.open();
    }
}

#[mpm::test]
fn they_end_for_threads_that_run_them() {
    let _watchdog = watchdog();
    for count in blocked_counts() {
        let blocked = Blocked::new(count);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| settle(&blocked.pool));
            }
        });
        blocked.open();
    }
}

#[mpm::test]
fn they_end_for_whoever_polls_awaits_or_waits_for_several() {
    let _watchdog = watchdog();
    let blocked = Blocked::new(cpus());
    let jobs = blocked.submitted(100);
    wait_until("all have ended", || jobs.iter().all(JobHandle::is_finished));
    mpm::wait_all(&blocked.submitted(100));
    (0..).zip(blocked.submitted(100)).for_each(|(n, job)| assert_eq!(block_on(job).unwrap(), 2 * n));
    blocked.open();
}

#[mpm::test]
fn they_end_for_map() {
    let _watchdog = watchdog();
    for count in blocked_counts() {
        let blocked = Blocked::new(count);
        assert!(blocked.pool.map::<double>(0..5_000).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
        assert_eq!(blocked.pool.map_unordered::<double>(0..5_000).filter(|(_, outcome)| outcome.is_ok()).count(), 5_000);
        blocked.open();
    }
}

/// Waits at the gate if there is one.
#[worker]
fn maybe_wait(n: u32, gate: &str) -> u32 {
    if !gate.is_empty() {
        wait_at(gate);
    }
    n
}

/// The long ones are themselves among jobs that travel together.
#[mpm::test]
fn a_map_goes_on_beside_its_own_long_jobs() {
    let _watchdog = watchdog();
    const FIRST: u32 = 3_000;
    let (folder, workers) = (TempDir::new().unwrap(), 3 * cpus());
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(workers).build().unwrap();
    let long = u32::try_from(cpus()).unwrap() + 1;
    let is_long = |n: u32| n >= FIRST && n.is_multiple_of(50) && (n - FIRST) / 50 < long;
    let inputs = (0..2 * FIRST).map(|n| (n, if is_long(n) { path.as_str() } else { "" }));
    let mut outcomes = pool.map::<maybe_wait>(inputs);
    assert!((0..FIRST).all(|n| outcomes.next().unwrap().unwrap() == n));
    gate.wait_for(long.into());
    settle(&pool);
    gate.open();
    assert!((FIRST..2 * FIRST).all(|n| outcomes.next().unwrap().unwrap() == n));
    assert!(outcomes.next().is_none());
}

#[mpm::test]
fn a_worker_that_had_a_long_job_gets_short_ones_again() {
    let _watchdog = watchdog();
    for _ in 0..3 {
        let mut blocked = Blocked::new(3 * cpus() - 1);
        collected(blocked.submitted(100));
        blocked.gates.iter().for_each(Gate::open);
        let workers: Vec<u32> = blocked.at_gates.drain(..).map(|job| job.wait().unwrap()).collect();
        let all = meet(&blocked.pool);
        assert!(workers.iter().all(|worker| all.contains(worker)), "{workers:?} {all:?}");
    }
}

#[mpm::test]
fn jobs_that_stay_are_cancelled_or_run_and_never_both() {
    let _watchdog = watchdog();
    let blocked = Blocked::new(cpus());
    let mut cancelled = 0;
    for _ in 0..20 {
        let jobs = blocked.submitted(60);
        let taken_back: Vec<bool> = jobs.iter().zip(0..).map(|(job, n)| n % 3 == 0 && job.cancel()).collect();
        for ((job, taken_back), n) in jobs.into_iter().zip(taken_back).zip(0..) {
            match job.wait() {
                Err(JobError::Cancelled(_)) => assert!(taken_back, "{n}"),
                outcome => assert!(!taken_back && outcome.unwrap() == 2 * n, "{n}"),
            }
            cancelled += u32::from(taken_back);
        }
    }
    assert!(cancelled > 0);
    blocked.open();
}

#[mpm::test]
fn a_kill_of_the_workers_in_front_costs_their_jobs_alone() {
    let _watchdog = watchdog();
    for _ in 0..3 {
        let mut blocked = Blocked::new(cpus());
        let jobs = blocked.submitted(300);
        for job in blocked.at_gates.drain(..) {
            kill(job.report().pid.unwrap(), libc::SIGKILL);
            assert!(job.wait().unwrap_err().is_died());
        }
        collected(jobs);
        blocked.open();
    }
}

#[mpm::test]
fn jobs_behind_workers_that_are_stopped_run_elsewhere() {
    let _watchdog = watchdog();
    let blocked = Blocked::with(cpus(), Pool::builder().unresponsive(Duration::MAX));
    let stopped: Vec<u32> = blocked.at_gates.iter().map(|job| job.report().pid.unwrap()).collect();
    stopped.iter().for_each(|worker| kill(*worker, libc::SIGSTOP));
    collected(blocked.submitted(300));
    assert!(blocked.pool.map::<double>(0..5_000).all(|outcome| outcome.is_ok()));
    stopped.iter().for_each(|worker| kill(*worker, libc::SIGCONT));
    blocked.open();
}

#[mpm::test]
fn they_end_where_workers_are_replaced() {
    let _watchdog = watchdog();
    for most in [1, 3, 100] {
        let blocked = Blocked::with(cpus(), Pool::builder().max_jobs(most));
        collected(blocked.submitted(300));
        blocked.open();
    }
}

#[mpm::test]
fn a_pool_that_ends_does_what_stays_or_takes_it_back() {
    let _watchdog = watchdog();
    let blocked = Blocked::new(cpus());
    thread::scope(|scope| {
        let jobs = blocked.submitted(300);
        let joining = scope.spawn(|| blocked.pool.join());
        collected(jobs);
        blocked.gates.iter().for_each(Gate::open);
        joining.join().unwrap();
    });
    let blocked = Blocked::new(cpus());
    thread::scope(|scope| {
        let jobs = blocked.submitted(300);
        let ending = scope.spawn(|| blocked.pool.shutdown(Duration::from_secs(60)));
        for (n, job) in (0..).zip(jobs) {
            match job.wait() {
                Ok(value) => assert_eq!(value, 2 * n),
                Err(error) => assert!(matches!(error, JobError::Cancelled(_)), "{error}"),
            }
        }
        blocked.gates.iter().for_each(Gate::open);
        ending.join().unwrap();
    });
}
