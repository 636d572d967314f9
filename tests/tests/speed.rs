//! What a pool costs while nothing happens, and what a job costs besides time: wake-ups, allocations, memory of a queued job.
//! All are counts; `benches/` has the times.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeMap;
use std::env;
use std::process;
use std::time::Duration;

use jobs::{double, pass, pool_of, worker_counts};
use mpm::{JobHandle, Pool, StartMethod, worker};
use mpm_tests::{
    Counting, Gate, allocations, allocations_here, alone, bytes_in_use, children_of, kill, readable, switches, templates_of,
    wait_until,
};
use tempfile::TempDir;

/// In the workers too, which are this program.
#[global_allocator]
static COUNTING: Counting = Counting;

/// How often all threads were switched that are mpm's: those of the parent, of its template, of its workers.
fn all_switches() -> BTreeMap<String, u64> {
    let me = process::id();
    let others = templates_of(me).into_iter().chain(children_of(me));
    switches(me, "mpm-").into_iter().chain(others.flat_map(|pid| switches(pid, ""))).collect()
}

/// Lets time pass in which nothing shall happen, which no event tells.
fn nothing_happens(time: Duration) {
    assert_eq!(readable(&[], Some(time)), []);
}

/// Lets a pool of so many workers come to rest, and asserts that then nobody wakes for some time.
fn assert_nobody_wakes(workers: usize) {
    let seconds = env::var("MPM_IDLE_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let mut woken = Vec::new();
    // The supervisor looks twice more after the last job, and a stalled machine may let it do so late. Who wakes now and then is
    // never quiet for so long.
    let is_quiet = (0..20).any(|_| {
        let before = all_switches();
        nothing_happens(Duration::from_secs(seconds));
        // Those of the parent are the supervisor, the one that starts, and the one that passes on standard error.
        assert!(before.len() >= workers + 3, "{before:#?}");
        woken = all_switches().into_iter().filter(|(thread, count)| before.get(thread) != Some(count)).collect();
        woken.is_empty()
    });
    assert!(is_quiet, "{woken:#?}");
}

#[mpm::test]
fn a_pool_whose_jobs_wait_for_a_time_or_for_the_end_of_a_pause_wakes_nobody() {
    alone("a_pool_whose_jobs_wait_for_a_time_or_for_the_end_of_a_pause_wakes_nobody", || {
        let pool = Pool::builder().workers(2).limit_rate::<double>(1, Duration::from_secs(3600)).build().unwrap();
        pool.run(double::job(1)).unwrap();
        let jobs: Vec<_> = (0..3).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        wait_until("both are there", || children_of(process::id()).len() == 2);
        assert_nobody_wakes(2);
        pool.pause();
        let more: Vec<_> = (0..3).map(|n| pool.submit(double::job(n).key(n)).unwrap()).collect();
        assert_nobody_wakes(2);
        pool.kill();
        assert!(jobs.into_iter().chain(more).all(|job| job.wait().unwrap_err().is_cancelled()));
    });
}

#[mpm::test]
fn an_idle_pool_of_two_wakes_nobody() {
    alone("an_idle_pool_of_two_wakes_nobody", || {
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let pool = Pool::builder().workers(2).start(method).build().unwrap();
            wait_until("both are there", || children_of(process::id()).len() == 2);
            assert_nobody_wakes(2);
            // Each way to wait, and none.
            (0..100).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
            let some: Vec<_> = (0..100).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            mpm::wait_all(&some);
            assert_eq!(pool.map_unordered::<double>(0..100).count(), 100);
            assert_eq!(mpm_tests::block_on(pool.submit(double::job(4)).unwrap()).unwrap(), 8);
            (0..100).for_each(|n| drop(pool.submit(double::job(n)).unwrap()));
            assert_nobody_wakes(2);
        }
    });
}

/// Short jobs that stay behind these are looked after for as long as they are there, and not longer.
#[mpm::test]
fn workers_with_long_jobs_wake_nobody() {
    alone("workers_with_long_jobs_wake_nobody", || {
        let (folder, cpus) = (TempDir::new().unwrap(), std::thread::available_parallelism().map_or(2, usize::from));
        let gate = Gate::new(folder.path(), "gate");
        let (path, workers) = (gate.path(), 2 * cpus + 1);
        let pool = Pool::builder().workers(workers).unresponsive(Duration::MAX).build().unwrap();
        wait_until("all are there", || children_of(process::id()).len() == workers);
        (0..200).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
        let long: Vec<_> = (0..cpus).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(cpus as u64);
        let short: Vec<_> = (0..500).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        (0..).zip(short).for_each(|(n, job)| assert_eq!(job.wait().unwrap(), 2 * n));
        assert_nobody_wakes(workers);
        gate.open();
        assert!(long.into_iter().all(|job| job.wait().is_ok()));
    });
}

/// However much it looks after its workers, it does so while they have jobs.
#[mpm::test]
fn an_idle_pool_with_every_limit_wakes_nobody() {
    alone("an_idle_pool_with_every_limit_wakes_nobody", || {
        let hour = Duration::from_secs(3600);
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let builder = Pool::builder().workers(2..=4).max_jobs(1 << 40).max_jobs_jitter(0.1).max_age(hour);
            let builder = builder.max_idle(Duration::from_millis(50)).max_rss(1 << 40).max_rss_hard(1 << 41).unresponsive(hour);
            let pool = builder.restart_limit(9, hour).start(method).build().unwrap();
            wait_until("both are there", || children_of(process::id()).len() == 2);
            assert_nobody_wakes(2);
            (0..100).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
            let folder = TempDir::new().unwrap();
            let gate = Gate::new(folder.path(), "gate");
            let path = gate.path();
            let jobs: Vec<_> = (0..4).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
            gate.wait_for(4);
            gate.open();
            assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
            // Whoever is one too many goes first, and then nobody has anything to do.
            wait_until("two are left", || children_of(process::id()).len() == 2);
            assert_nobody_wakes(2);
        }
    });
}

#[mpm::test]
fn five_hundred_idle_workers_wake_nobody() {
    alone("five_hundred_idle_workers_wake_nobody", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(500);
        wait_until("all are there", || children_of(process::id()).len() == 500);
        assert_nobody_wakes(500);
        let jobs: Vec<_> = (0..500).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(500);
        gate.open();
        assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
        (0..1000).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
        assert_nobody_wakes(500);
    });
}

/// How often its worker has asked for memory.
#[worker]
fn allocations_so_far() -> u64 {
    allocations()
}

const JOBS: u64 = 10_000;

/// Waits until all workers of a pool are there.
fn meet(pool: &Pool, workers: usize) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let jobs: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&gate.path())).unwrap()).collect();
    gate.wait_for(workers as u64);
    gate.open();
    assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
}

/// How often this thread, and how often all of the parent, takes memory for `work`, once it has been done.
fn counted(mut work: impl FnMut()) -> (u64, u64) {
    work();
    let (here, all) = (allocations_here(), allocations());
    work();
    (allocations_here() - here, allocations() - all)
}

#[mpm::test]
fn jobs_one_after_the_other_take_no_memory() {
    alone("jobs_one_after_the_other_take_no_memory", || {
        for workers in worker_counts() {
            let pool = pool_of(workers);
            meet(&pool, workers);
            let (here, all) = counted(|| (0..JOBS).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n)));
            assert_eq!(here, 0, "{workers} workers, {all} on all threads");
            assert!(all < JOBS / 100, "{workers} workers, {all} on all threads");
        }
    });
}

/// Of one worker, since what another takes over from it is listed on the way. Now and then the supervisor still has a job in its
/// hand when its outcome is fetched; then that cell is not used again.
#[mpm::test]
fn windows_of_jobs_take_next_to_no_memory() {
    alone("windows_of_jobs_take_next_to_no_memory", || {
        let pool = pool_of(1);
        let mut window = Vec::with_capacity(64);
        let (here, all) = counted(|| {
            for first in (0..JOBS).step_by(64) {
                window.extend((first..first + 64).map(|n| (n, pool.submit(double::job(n)).unwrap())));
                window.drain(..).for_each(|(n, job)| assert_eq!(job.wait().unwrap(), 2 * n));
            }
        });
        println!("{here} times on this thread, {all} on all threads");
        assert!(all < JOBS / 100, "{here} times on this thread, {all} on all threads");
    });
}

#[mpm::test]
fn a_worker_takes_no_memory_for_a_job() {
    alone("a_worker_takes_no_memory_for_a_job", || {
        let pool = pool_of(1);
        let so_far = || pool.run(allocations_so_far::job()).unwrap();
        let work = || (0..JOBS).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
        work();
        so_far();
        let before = so_far();
        work();
        assert_eq!(so_far(), before);
    });
}

/// What a waiting job of short arguments takes in the parent at most, in bytes, with its handle: the queue's entry, twice at worst,
/// since queues grow by doubling, and the cell.
const BYTES_PER_JOB: i64 = 400;

/// Submits so many jobs to workers that do not move; the bytes that one takes.
fn bytes_per_job(pool: &Pool, workers: &[u32], jobs: u32) -> i64 {
    let mut handles: Vec<JobHandle<u64>> = Vec::with_capacity(jobs as usize);
    workers.iter().for_each(|worker| kill(*worker, libc::SIGSTOP));
    let before = bytes_in_use();
    handles.extend((0..u64::from(jobs)).map(|n| pool.submit(double::job(n)).unwrap()));
    let taken = bytes_in_use() - before;
    workers.iter().for_each(|worker| kill(*worker, libc::SIGCONT));
    (0..).zip(handles).for_each(|(n, job)| assert_eq!(job.wait().unwrap(), 2 * n));
    taken / i64::from(jobs)
}

#[mpm::test]
fn a_waiting_job_takes_little_memory_and_gives_it_back() {
    alone("a_waiting_job_takes_little_memory_and_gives_it_back", || {
        let pool = Pool::builder().workers(2).queue(1 << 20).unresponsive(Duration::MAX).build().unwrap();
        let workers: Vec<u32> = {
            wait_until("both are there", || children_of(process::id()).len() == 2);
            children_of(process::id())
        };
        // The threads' own memory is taken, and the cells are there that they keep.
        bytes_per_job(&pool, &workers, 1_000);
        let before = bytes_in_use();
        for jobs in [1_000, 66_000, 100_000] {
            let each = bytes_per_job(&pool, &workers, jobs);
            println!("{jobs} waiting jobs: {each} bytes each");
            assert!(each <= BYTES_PER_JOB, "{jobs} waiting jobs: {each} bytes each");
        }
        let kept = bytes_in_use() - before;
        println!("{kept} bytes kept");
        // Places in the queue, twice as many as it has by default.
        assert!(kept < 128 * 1024, "{kept} bytes are kept");
    });
}
