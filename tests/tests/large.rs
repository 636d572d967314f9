//! Large payloads through a pool: several at once, killed workers with segments in their hands, results that nobody fetches,
//! jobs that are taken back, copies of the process, and what is left of all that.

use std::fs;
use std::process;

use mpm::{JobError, JobHandle, Pool, worker};
use mpm_tests::{Gate, alone, in_forked_copy, kill, limit_descriptors, wait_at, wait_until, watchdog};

const MIB: usize = 1 << 20;

#[worker]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[worker]
fn add_up(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[worker]
fn bytes(len: usize, byte: u8) -> Vec<u8> {
    vec![byte; len]
}

#[worker]
fn perhaps(front: &str, bytes: Option<Vec<u8>>, behind: Vec<u8>) -> Result<Vec<u8>, String> {
    let bytes = bytes.ok_or_else(|| front.to_owned())?;
    Ok([bytes, behind].concat())
}

#[worker]
fn wait_for(gate: &str) {
    wait_at(gate);
}

#[worker]
fn die_with(bytes: Vec<u8>) -> usize {
    if bytes.is_empty() { 0 } else { process::abort() }
}

#[worker]
fn pid() -> u32 {
    process::id()
}

fn pool_of(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// Bytes that differ from those of another job.
fn payload(job: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![job as u8; len];
    bytes.iter_mut().enumerate().step_by(997).for_each(|(at, byte)| *byte = at as u8);
    bytes
}

/// The sizes in bytes of the segments that a process has mapped.
fn segments(pid: u32) -> Vec<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let sizes = maps.lines().filter(|line| line.contains("mpm-payload")).map(|line| {
        let [start, end] = line.split(' ').next().unwrap().split('-').collect::<Vec<_>>().try_into().unwrap();
        [start, end].map(|hex| usize::from_str_radix(hex, 16).unwrap())
    });
    sizes.map(|[start, end]| end - start).collect()
}

/// How many descriptors of segments this process has open.
fn descriptors() -> usize {
    let targets = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("mpm-payload")).count()
}

#[mpm::test]
fn many_large_jobs_at_once_keep_their_bytes_apart() {
    alone("many_large_jobs_at_once_keep_their_bytes_apart", || {
        for workers in [1, 2, 4] {
            let pool = pool_of(workers);
            for sizes in [[40_000, 300_000, MIB], [MIB, 5 * MIB, 33_000], [20 * MIB, 30 * MIB, 40 * MIB]] {
                let count = if sizes[0] > MIB { 4 } else { 20 };
                let jobs: Vec<_> = (0..count).map(|n| pool.submit(echo::job(payload(n, sizes[n % 3]))).unwrap()).collect();
                for (n, job) in jobs.into_iter().enumerate().rev() {
                    assert!(job.wait().unwrap() == payload(n, sizes[n % 3]), "job {n} of {workers} workers");
                }
            }
            assert_eq!(descriptors(), 0, "workers have all that they need");
            let kept: usize = segments(process::id()).into_iter().sum();
            assert!(kept <= workers * 4 * 64 * MIB, "{kept} bytes are kept");
        }
    });
}

#[mpm::test]
fn several_threads_share_a_pool() {
    let _watchdog = watchdog();
    let pool = pool_of(2);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..50 {
                    let bytes = payload(thread * 50 + n, 200_000 + n * 1000);
                    assert_eq!(pool.run(add_up::job(&bytes)).unwrap(), add_up(&bytes));
                    assert!(pool.run(echo::job(bytes.clone())).unwrap() == bytes);
                }
            });
        }
    });
}

#[mpm::test]
fn large_runs_among_other_arguments_arrive() {
    let _watchdog = watchdog();
    let pool = pool_of(1);
    for len in [0, 1, 4095, 4096, 32_000, 33_000, 100_000, 3 * MIB] {
        let both = pool.run(perhaps::job("none", Some(payload(1, len)), payload(2, len + 1))).unwrap().unwrap();
        assert!(both == [payload(1, len), payload(2, len + 1)].concat(), "{len}");
        let none = pool.run(perhaps::job(&"n".repeat(len), None, payload(2, len))).unwrap();
        assert_eq!(none.unwrap_err().len(), len);
    }
}

#[mpm::test]
fn a_worker_that_dies_with_large_arguments_costs_no_other_job_and_no_memory() {
    alone("a_worker_that_dies_with_large_arguments_costs_no_other_job_and_no_memory", || {
        let pool = pool_of(2);
        for _ in 0..10 {
            let before: Vec<_> = (0..4).map(|n| pool.submit(echo::job(payload(n, 2 * MIB))).unwrap()).collect();
            let dies = pool.submit(die_with::job(payload(9, 3 * MIB))).unwrap();
            let behind: Vec<_> = (4..8).map(|n| pool.submit(echo::job(payload(n, 2 * MIB))).unwrap()).collect();
            assert!(dies.wait().unwrap_err().is_died());
            for (n, job) in before.into_iter().chain(behind).enumerate() {
                assert!(job.wait().unwrap() == payload(n, 2 * MIB), "job {n}");
            }
        }
        drop(pool);
        assert_eq!((segments(process::id()), descriptors()), (vec![], 0));
    });
}

#[mpm::test]
fn results_that_nobody_has_fetched_outlive_their_worker_and_the_pool() {
    alone("results_that_nobody_has_fetched_outlive_their_worker_and_the_pool", || {
        let pool = pool_of(1);
        let jobs: Vec<_> = (0..12).map(|n| pool.submit(bytes::job(2 * MIB, n)).unwrap()).collect();
        mpm::wait_all(&jobs);
        kill(pool.run(pid::job()).unwrap(), libc::SIGKILL);
        let more: Vec<_> = (0..3).map(|n| pool.submit(bytes::job(2 * MIB, n)).unwrap()).collect();
        mpm::wait_all(&more);
        drop(pool);
        assert!(segments(process::id()).len() <= 6, "three of each worker");
        let (unread, read): (Vec<_>, Vec<_>) = jobs.into_iter().chain(more).enumerate().partition(|(n, _)| n % 2 == 0);
        drop(unread);
        for (n, job) in read {
            assert!(job.wait().unwrap().iter().all(|byte| usize::from(*byte) == n % 12));
        }
        assert_eq!(segments(process::id()), []);
    });
}

/// Nobody waits for these jobs, and their results fill the link: the worker has to call.
#[mpm::test]
fn results_that_nobody_waits_for_do_not_hold_up_the_next_jobs() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    for len in [10_000, 30_000, 200_000] {
        let pool = pool_of(1);
        // Short jobs, so that the pool does not want to hear of each.
        for _ in 0..100 {
            pool.run(bytes::job(0, 0)).unwrap();
        }
        let marks = folder.path().join(format!("{len}"));
        fs::write(&marks, "").unwrap();
        for _ in 0..60 {
            drop(pool.submit(mark_and_give::job(&marks, len)).unwrap());
        }
        wait_until("all have run", || fs::read(&marks).unwrap().len() == 60);
    }
}

#[worker]
fn mark_and_give(marks: &std::path::Path, len: usize) -> Vec<u8> {
    use std::io::Write;
    fs::OpenOptions::new().append(true).open(marks).unwrap().write_all(b"x").unwrap();
    vec![1; len]
}

#[mpm::test]
fn queued_large_jobs_that_are_cancelled_give_their_memory_back() {
    alone("queued_large_jobs_that_are_cancelled_give_their_memory_back", || {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(1);
        let blocker = pool.submit(wait_for::job(&path)).unwrap();
        gate.wait_for(1);
        for (size, times) in [(MIB, 8), (70 * MIB, 3)] {
            for _ in 0..3 {
                let jobs: Vec<JobHandle<_>> = (0..times).map(|n| pool.submit(echo::job(payload(n, size))).unwrap()).collect();
                assert!(jobs.iter().all(JobHandle::cancel));
                assert!(jobs.into_iter().all(|job| job.wait().unwrap_err().is_cancelled()));
            }
            let kept: usize = segments(process::id()).into_iter().sum();
            assert!(kept <= 140 * MIB, "{kept} bytes are kept");
        }
        gate.open();
        blocker.wait().unwrap();
        assert!(pool.run(echo::job(payload(1, 3 * MIB))).unwrap() == payload(1, 3 * MIB));
        drop(pool);
        assert_eq!((segments(process::id()), descriptors()), (vec![], 0));
    });
}

#[mpm::test]
fn a_queue_of_large_jobs_takes_few_descriptors() {
    alone("a_queue_of_large_jobs_takes_few_descriptors", || {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = pool_of(1);
        let blocker = pool.submit(wait_for::job(&path)).unwrap();
        gate.wait_for(1);
        limit_descriptors(64);
        let jobs: Vec<_> = (0..200).map(|n| pool.submit(add_up::job(&payload(n, 100_000))).unwrap()).collect();
        assert!(descriptors() <= 4);
        gate.open();
        blocker.wait().unwrap();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.wait().unwrap(), add_up(&payload(n, 100_000)));
        }
    });
}

#[worker]
fn add_up_in_a_copy(bytes: &[u8], sum: u64) -> bool {
    in_forked_copy(|| add_up(bytes) == sum)
}

#[mpm::test]
fn a_job_that_forks_has_its_large_arguments_in_the_copy() {
    let _watchdog = watchdog();
    let pool = pool_of(1);
    for n in 0..3 {
        let bytes = payload(n, MIB);
        assert!(pool.run(add_up_in_a_copy::job(&bytes, add_up(&bytes))).unwrap());
    }
}

#[mpm::test]
fn a_forked_copy_neither_has_the_segments_nor_gives_them_back() {
    alone("a_forked_copy_neither_has_the_segments_nor_gives_them_back", || {
        let pool = pool_of(1);
        let mut results: Vec<_> = (0..3).map(|n| pool.submit(bytes::job(MIB, n)).unwrap()).collect();
        mpm::wait_all(&results);
        assert!(!segments(process::id()).is_empty());
        let copy = in_forked_copy(|| {
            let has_none = segments(process::id()).is_empty();
            let lost = results.drain(..).all(|job| matches!(job.wait(), Err(JobError::PoolFailed(_))));
            has_none && lost
        });
        assert!(copy);
        for n in 0..20 {
            assert!(pool.run(echo::job(payload(n, MIB))).unwrap() == payload(n, MIB));
        }
        for (n, job) in results.into_iter().enumerate() {
            assert!(job.wait().unwrap().iter().all(|byte| usize::from(*byte) == n));
        }
    });
}
