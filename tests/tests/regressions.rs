//! Mistakes that were made once, each with the way in which it was found.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mpm::{EventKind, JobError, JobHandle, Pool, worker};
use mpm_tests::{
    Gate, alone, in_forked_copy, kill, limit_descriptors, limit_descriptors_of, process_gone, wait_at, wait_until, watchdog,
};

#[worker]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[worker]
fn bytes(count: usize) -> Vec<u8> {
    vec![7; count]
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[worker]
fn wait_for(gate: &str) {
    wait_at(gate);
}

/// Deaths of idle workers were counted as failed starts, though a new worker had been ready after each.
#[mpm::test]
fn a_pool_survives_the_death_of_every_idle_worker_in_turn() {
    alone("a_pool_survives_the_death_of_every_idle_worker_in_turn", || {
        let (send, ready) = channel();
        let pool = Pool::builder().workers(1).on_event(move |event| {
            if let EventKind::WorkerReady { pid, .. } = event.kind {
                send.send(pid).unwrap();
            }
        });
        let pool = pool.build().unwrap();
        for _ in 0..8 {
            let pid = ready.recv().unwrap();
            kill(pid, libc::SIGKILL);
            wait_until("it is buried", || process_gone(pid));
        }
        assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
    });
}

/// `now + grace` overflowed and ended the supervisor.
#[mpm::test]
fn the_longest_grace_is_for_ever() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).grace(Duration::MAX).start_timeout(Duration::MAX).build().unwrap();
    let job = pool.submit(add::job(1, 2)).unwrap();
    pool.join();
    assert_eq!(job.wait().unwrap(), 3);
}

/// Ends its pool when it is dropped.
struct EndsThePool(Arc<Pool>);

impl Wake for EndsThePool {
    fn wake(self: Arc<Self>) {}
}

impl Drop for EndsThePool {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// A waker that was replaced was dropped while the job's lock was held.
#[mpm::test]
fn a_replaced_waker_may_do_anything_when_it_is_dropped() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = Arc::new(Pool::builder().workers(1).build().unwrap());
    let mut job: JobHandle<()> = pool.submit(wait_for::job(&gate.path())).unwrap();
    let first = Waker::from(Arc::new(EndsThePool(Arc::clone(&pool))));
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&first)).is_pending());
    drop(first);
    let outcome = Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop()));
    drop(outcome);
    assert!(pool.submit(add::job(1, 2)).unwrap_err().is_closed());
}

/// Several starts that failed in one turn, for want of descriptors, counted as so many failures in a row.
#[mpm::test]
fn a_pool_makes_do_with_the_workers_that_it_has_descriptors_for() {
    alone("a_pool_makes_do_with_the_workers_that_it_has_descriptors_for", || {
        limit_descriptors(40);
        let pool = Pool::builder().workers(30).build().unwrap();
        for n in 0..100 {
            assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1);
        }
    });
}

/// The parent's own want of descriptors was taken for the worker's crime.
#[mpm::test]
fn a_large_result_that_the_parent_has_no_descriptor_for_is_that_jobs_error_alone() {
    alone("a_large_result_that_the_parent_has_no_descriptor_for_is_that_jobs_error_alone", || {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(1).build().unwrap();
        pool.run(add::job(1, 2)).unwrap();
        limit_descriptors(64);
        let blocker = pool.submit(wait_for::job(&path)).unwrap();
        let large = pool.submit(bytes::job(100_000)).unwrap();
        let behind: Vec<_> = (0..5).map(|n| pool.submit(add::job(n, 1)).unwrap()).collect();
        gate.wait_for(1);
        let open = || std::iter::from_fn(|| fs::File::open("/dev/null").ok()).take(100).collect::<Vec<_>>();
        let mut files = open();
        // The gate needs one descriptor to open.
        files.pop();
        gate.open();
        files.extend(open());
        blocker.wait().unwrap();
        match large.wait() {
            Err(JobError::Decode(error)) => assert!(!error.in_worker && error.reason.contains("os error 24"), "{error}"),
            // The gate's own descriptor came free just in time.
            Ok(bytes) => assert_eq!(bytes.len(), 100_000),
            other => panic!("{:?}", other.map(|bytes| bytes.len())),
        }
        drop(files);
        for (job, n) in behind.into_iter().zip(1..) {
            assert_eq!(job.wait().unwrap(), n);
        }
        assert_eq!(pool.run(bytes::job(100_000)).unwrap().len(), 100_000);
    });
}

/// They were taken back from the worker, which was left with the order to call after the last of them: nobody saw the end of the job that
/// it ran, nor started another worker.
#[mpm::test]
fn the_jobs_behind_a_result_that_cannot_be_taken_over_run() {
    alone("the_jobs_behind_a_result_that_cannot_be_taken_over_run", || {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        // Nor does it wake by itself now and then.
        let pool = Pool::builder().workers(1).unresponsive(Duration::MAX).build().unwrap();
        // Short jobs are handed out ahead of time.
        (0..20).for_each(|n| assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1));
        let before = limit_descriptors_of(process::id(), 3);
        let large = pool.submit(bytes::job(100_000)).unwrap();
        let running = pool.submit(wait_for::job(&path)).unwrap();
        let behind = [1, 2, 3].map(|n| pool.submit(add::job(n, 1)).unwrap());
        // Looks for it on this thread.
        wait_until("it has come", || large.is_finished());
        limit_descriptors_of(process::id(), before);
        assert!(matches!(large.wait(), Err(JobError::Decode(error)) if !error.in_worker && error.reason.contains("os error 24")));
        // In the same worker; or in another one, if it was taken back too.
        gate.wait_for(1);
        gate.open();
        assert_eq!(behind.map(|job| job.wait().unwrap()), [2, 3, 4]);
        running.wait().unwrap();
    });
}

/// Descriptors of payloads that were taken back piled up in the worker's socket.
#[mpm::test]
fn large_jobs_that_are_cancelled_leave_nothing_behind() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(1).build().unwrap();
    for _ in 0..20 {
        pool.run(add::job(1, 2)).unwrap();
    }
    let blocker = pool.submit(wait_for::job(&path)).unwrap();
    gate.wait_for(1);
    for size in 1..200 {
        let job = pool.submit(length::job(&vec![1; size * 50_000])).unwrap();
        assert!(job.cancel());
        assert!(job.wait().unwrap_err().is_cancelled());
    }
    gate.open();
    blocker.wait().unwrap();
    assert_eq!(pool.run(length::job(&vec![1; 20_000_000])).unwrap(), 20_000_000);
}

/// A forked copy of the process wrote into the shared memory of its parent's pool.
#[mpm::test]
fn a_forked_copy_of_the_process_can_neither_use_nor_harm_the_pool() {
    alone("a_forked_copy_of_the_process_can_neither_use_nor_harm_the_pool", || {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(1).build().unwrap();
        let running = pool.submit(wait_for::job(&path)).unwrap();
        let waiting = pool.submit(add::job(20, 22)).unwrap();
        gate.wait_for(1);
        let copy = in_forked_copy(|| {
            let refused = pool.submit(add::job(1, 2)).is_err_and(|error| error.is_failed());
            let tried = pool.try_submit(add::job(1, 2)).is_err_and(|error| error.is_failed());
            let cancelled = waiting.cancel();
            pool.kill();
            refused && tried && !cancelled && pool.run(add::job(1, 2)).is_err()
        });
        assert!(copy, "the copy was refused everything");
        gate.open();
        running.wait().unwrap();
        assert_eq!(waiting.wait().unwrap(), 42);
    });
}

/// In a forked copy some calls waited for ever, for a job or for a lock that a thread of the original held.
#[mpm::test]
fn in_a_forked_copy_of_the_process_every_job_counts_as_ended() {
    alone("in_a_forked_copy_of_the_process_every_job_counts_as_ended", || {
        let folder = tempfile::tempdir().unwrap();
        let [gate, open] = ["gate", "open"].map(|name| Gate::new(folder.path(), name));
        let (path, open_path) = (gate.path(), open.path());
        open.open();
        let pool = Pool::builder().workers(1).build().unwrap();
        let mut unordered = pool.map_unordered::<wait_for>([&open_path, &path, &path].map(String::as_str));
        assert!(matches!(unordered.next(), Some((0, Ok(())))));
        let submit = || pool.submit(wait_for::job(&path)).unwrap();
        let mut completed = mpm::as_completed([submit(), submit()]);
        let mut jobs = [submit(), submit()];
        let copy = in_forked_copy(|| {
            let lost = |outcome: &Result<(), JobError>| matches!(outcome, Err(JobError::PoolFailed(_)));
            assert!(jobs.iter().all(JobHandle::is_finished));
            assert!(jobs.iter().all(|job| job.report().worker.is_none()));
            assert_eq!((mpm::wait_any(&jobs), mpm::wait_any_timeout(&jobs, Duration::MAX)), (Some(0), Some(0)));
            mpm::wait_all(&jobs);
            assert!(mpm::wait_all_timeout(&jobs, Duration::MAX));
            let [first, second] = &mut jobs;
            assert!(
                matches!(Pin::new(first).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(outcome) if lost(&outcome))
            );
            assert!(second.wait_timeout(Duration::MAX).is_some_and(|outcome| lost(&outcome)));
            let ended: Vec<_> = completed.by_ref().collect();
            let mapped: Vec<_> = unordered.by_ref().collect();
            assert!(ended.iter().chain(&mapped).all(|(_, outcome)| lost(outcome)), "{ended:?} {mapped:?}");
            ended.iter().map(|(index, _)| *index).eq([0, 1]) && mapped.iter().map(|(index, _)| *index).eq([1, 2])
        });
        assert!(copy, "the copy has waited for nothing");
        gate.open();
        mpm::wait_all(&jobs);
        assert!(completed.chain(unordered).chain(jobs.map(|job| (0, job.wait()))).all(|(_, outcome)| outcome.is_ok()));
    });
}

/// A worker kept the memory of its largest answer until its next large one.
#[mpm::test]
fn a_worker_lets_go_of_a_huge_answer_once_it_is_sent() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    let answer = |count: usize| {
        let mut job = pool.submit(bytes::job(count)).unwrap();
        assert_eq!(job.wait_timeout(Duration::MAX).unwrap().unwrap().len(), count);
        job.report().pid.unwrap()
    };
    let holds_a_segment = |pid: u32| fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().contains("mpm-payload");
    assert!(holds_a_segment(answer(1 << 20)), "one of ordinary size is kept for the next answer");
    let pid = answer(65 << 20);
    wait_until("the huge one is gone", || !holds_a_segment(pid));
    assert!(holds_a_segment(answer(1 << 20)));
}
