//! Behaviours, group B, second half: waiting for jobs in every way, and what a handle says in each state.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use jobs::{Way, die, double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, JobHandle, Pool, worker};
use mpm_tests::{Gate, block_on, watchdog};
use serde::{Serialize, Serializer};
use tempfile::TempDir;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

/// Cannot be encoded.
#[derive(serde::Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it does not want to travel"))
    }
}

#[worker]
fn take_stubborn(_it: Stubborn) {}

#[mpm::test]
fn b33_a_time_limit_on_the_next_outcome() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let quick = [pool.submit(pid::job()).unwrap(), pool.submit(pid::job()).unwrap()];
        let mut outcomes = mpm::as_completed(quick);
        outcomes.push(pool.submit(pass::job(&path)).unwrap());
        let first: BTreeSet<usize> = (0..2).map(|_| outcomes.next_timeout(LONG).unwrap().0).collect();
        assert_eq!(first, [0, 1].into());
        assert!(outcomes.next_timeout(Duration::from_millis(20)).is_none(), "the third waits at the gate");
        assert_eq!(outcomes.unfinished(), 1);
        assert!(outcomes.next_timeout(Duration::ZERO).is_none());
        gate.open();
        assert_eq!(outcomes.next_timeout(LONG).map(|(at, outcome)| (at, outcome.is_ok())), Some((2, true)));
        assert!(outcomes.next_timeout(LONG).is_none());
        assert_eq!(outcomes.unfinished(), 0);
    }
}

#[mpm::test]
fn b36_as_completed() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let (one, other) = (pool_of(1), pool_of(2));
    let ended = other.submit(pid::job()).unwrap();
    mpm::wait_all(std::slice::from_ref(&ended));
    let slow = one.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let cancelled = one.submit(pass::job(&path)).unwrap();
    assert!(cancelled.cancel());
    let quick = other.submit(pid::job()).unwrap();
    let mut outcomes = mpm::as_completed([slow, cancelled, ended]);
    assert_eq!(outcomes.push(quick), 3);
    // What had ended before comes in the order of the handles, without a wait.
    assert!(matches!(outcomes.next_timeout(Duration::ZERO), Some((1, Err(JobError::Cancelled(_))))));
    assert!(matches!(outcomes.next_timeout(Duration::ZERO), Some((2, Ok(_)))));
    assert!(matches!(outcomes.next_timeout(LONG), Some((3, Ok(_)))));
    assert!(outcomes.next_timeout(Duration::ZERO).is_none());
    assert_eq!((outcomes.unfinished(), outcomes.size_hint()), (1, (1, Some(1))));
    gate.open();
    assert!(matches!(outcomes.next(), Some((0, Ok(_)))));
    assert!(outcomes.next().is_none());
}

#[mpm::test]
fn b36_as_completed_that_is_dropped_lets_the_rest_go_on() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1);
    let jobs: Vec<_> = (0..3).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    drop(mpm::as_completed(jobs));
    gate.open();
    pool.join();
    assert_eq!(gate.arrived(), 3);
}

#[mpm::test]
fn b37_wait_for_any_and_all() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let (one, other) = (pool_of(1), pool_of(1));
    let mut jobs = vec![one.submit(pass::job(&path)).unwrap(), one.submit(pass::job(&path)).unwrap()];
    gate.wait_for(1);
    assert_eq!(mpm::wait_any_timeout(&jobs, Duration::ZERO), None);
    assert_eq!(mpm::wait_any_timeout(&jobs, Duration::from_millis(20)), None);
    assert!(!mpm::wait_all_timeout(&jobs, Duration::ZERO));
    assert!(!mpm::wait_all_timeout(&jobs, Duration::from_millis(20)));
    jobs.push(other.submit(pid::job()).unwrap());
    assert_eq!(mpm::wait_any(&jobs), Some(2), "a job of another pool");
    assert_eq!(mpm::wait_any(&jobs), Some(2), "again: it has ended already");
    assert!(jobs[1].cancel());
    assert_eq!(mpm::wait_any(&jobs), Some(1), "the first in the list that has ended");
    assert!(!mpm::wait_all_timeout(&jobs, Duration::from_millis(20)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| mpm::wait_all(&jobs));
        gate.open();
        waiting.join().unwrap();
    });
    assert!(mpm::wait_all_timeout(&jobs, Duration::ZERO));
    assert_eq!(mpm::wait_any(&jobs), Some(0));
    let outcomes: Vec<_> = jobs.into_iter().map(JobHandle::wait).collect();
    assert!(matches!(&outcomes[..], [Ok(_), Err(JobError::Cancelled(_)), Ok(_)]), "{outcomes:?}");
}

#[mpm::test]
fn b37_many_wait_for_the_same_jobs() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(2);
    let jobs: Vec<_> = (0..20).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(mpm::wait_any(&jobs).is_some()));
            scope.spawn(|| mpm::wait_all(&jobs));
        }
        gate.wait_for(2);
        gate.open();
    });
    assert!(jobs.iter().all(JobHandle::is_finished));
}

#[mpm::test]
fn b38_a_handle_in_each_state() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(workers);
        let mut running: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let mut queued = pool.submit(pass::job(&path)).unwrap();
        // Running: not to be taken back.
        let mut job = running.remove(0);
        assert!(!job.is_finished() && !job.cancel());
        assert!(job.wait_timeout(Duration::ZERO).is_none() && job.wait_timeout(Duration::from_millis(5)).is_none());
        let report = job.report();
        assert!(report.worker.is_some() && report.pid.is_some() && report.ran.is_none(), "{report:?}");
        // Queued: nobody has it, and it can be taken back once.
        let report = queued.report();
        assert_eq!((report.worker, report.pid, report.ran), (None, None, None));
        assert!(queued.wait_timeout(Duration::ZERO).is_none());
        assert!(queued.cancel() && queued.is_finished() && !queued.cancel());
        let outcome = queued.wait_timeout(Duration::ZERO);
        let Some(Err(JobError::Cancelled(cancelled))) = outcome else { panic!("{outcome:?}") };
        assert_eq!((cancelled.job, cancelled.target), (queued.id(), pass::NAME));
        assert!(matches!(queued.wait(), Err(JobError::Taken)));
        // Finished: the value is handed out once.
        gate.open();
        mpm::wait_all(std::slice::from_ref(&job));
        assert!(job.is_finished() && !job.cancel());
        assert!(job.wait_timeout(Duration::ZERO).is_some_and(|outcome| outcome.is_ok()));
        assert!(job.is_finished() && !job.cancel());
        assert!(matches!(job.wait_timeout(LONG), Some(Err(JobError::Taken))), "b43: the second time it is gone");
        running.into_iter().for_each(|job| assert!(job.wait().is_ok()));
        pool.join();
        assert_eq!(gate.arrived(), workers as u64, "the cancelled job has never started");
    }
}

#[mpm::test]
fn b38_a_wait_without_a_limit_by_the_longest_time() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let mut job = pool.submit(double::job(4)).unwrap();
    assert_eq!(job.wait_timeout(Duration::MAX).unwrap().unwrap(), 8);
    let jobs = [pool.submit(double::job(4)).unwrap()];
    assert_eq!(mpm::wait_any_timeout(&jobs, Duration::MAX), Some(0));
    assert!(mpm::wait_all_timeout(&jobs, Duration::MAX));
    assert!(mpm::as_completed(jobs).next_timeout(Duration::MAX).is_some());
}

#[mpm::test]
fn b38_cancel_of_a_job_that_could_not_be_encoded() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(1).queue(2).build().unwrap();
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let waiting = pool.submit(pass::job(&path)).unwrap();
    for _ in 0..3 {
        let job = pool.submit(take_stubborn::job(Stubborn)).unwrap();
        assert!(job.is_finished(), "it has its outcome already");
        assert!(!job.cancel(), "so it cannot be taken back");
        let outcome = job.wait();
        assert!(matches!(outcome, Err(JobError::Encode(_))), "{outcome:?}");
    }
    // The count of waiting jobs is right still: there is room for one more and not for two.
    let second = pool.try_submit(pass::job(&path)).unwrap();
    assert!(pool.try_submit(pass::job(&path)).unwrap_err().is_full());
    gate.open();
    for job in [running, waiting, second] {
        job.wait().unwrap();
    }
}

#[mpm::test]
fn b38_a_dropped_map_with_inputs_that_could_not_be_encoded() {
    let _guard = watchdog();
    let pool = pool_of(1);
    let mut outcomes = pool.map::<take_stubborn>((0..10).map(|_| Stubborn));
    assert!(matches!(outcomes.next(), Some(Err(JobError::Encode(_)))));
    drop(outcomes);
    let mut outcomes = pool.map_unordered::<take_stubborn>((0..10).map(|_| Stubborn));
    assert!(matches!(outcomes.next(), Some((0, Err(JobError::Encode(_))))));
    drop(outcomes);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
}

#[mpm::test]
fn b38_a_cancelled_job_leaves_the_queue() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = Pool::builder().workers(1).queue(3).build().unwrap();
    let running = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    for round in 0..100 {
        let jobs: Vec<_> = (0..3).map(|_| pool.try_submit(pass::job(&path)).unwrap()).collect();
        assert!(pool.try_submit(pass::job(&path)).unwrap_err().is_full());
        // From the front, from the back, from the middle.
        for at in [[0, 1, 2], [2, 1, 0], [1, 0, 2]][round % 3] {
            assert!(jobs[at].cancel());
        }
    }
    let last = pool.try_submit(double::job(1)).unwrap();
    gate.open();
    assert!(running.wait().is_ok());
    assert_eq!(last.wait().unwrap(), 2);
    assert_eq!(gate.arrived(), 1);
}

/// Each completion submits the next job, on whatever thread the waker is called.
struct Chain {
    pool: Arc<Pool>,
    state: Mutex<(u64, Option<JobHandle<u64>>)>,
    done: Sender<u64>,
    with_crashes: bool,
}

impl Chain {
    fn start(pool: &Arc<Pool>, steps: u64, with_crashes: bool) -> Receiver<u64> {
        let (done, ended) = channel();
        let chain = Arc::new(Self { pool: Arc::clone(pool), state: Mutex::new((steps, None)), done, with_crashes });
        chain.step();
        ended
    }

    /// Polls the job that there is, and submits the next until one is not ready at once.
    fn step(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(job) = &mut state.1 {
                match Pin::new(job).poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending => return,
                    Poll::Ready(outcome) => match outcome {
                        Ok(left) => assert_eq!(left, state.0),
                        Err(error) => assert!(self.with_crashes && error.is_died(), "{error}"),
                    },
                }
            }
            if state.0 == 0 {
                state.1 = None;
                self.done.send(0).unwrap();
                return;
            }
            state.0 -= 1;
            state.1 = Some(self.pool.submit(crash_or_give::job(self.with_crashes && state.0 % 10 == 5, state.0)).unwrap());
        }
    }
}

impl Wake for Chain {
    fn wake(self: Arc<Self>) {
        self.step();
    }
}

#[worker]
fn crash_or_give(crash: bool, n: u64) -> u64 {
    if crash {
        Way::Abort.go();
    }
    n
}

#[mpm::test]
fn b40_submit_from_a_waker() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = Arc::new(pool_of(workers));
        let chains = [(100, false), (50, true), (60, false)].map(|(steps, crashes)| Chain::start(&pool, steps, crashes));
        for ended in chains {
            assert_eq!(ended.recv().unwrap(), 0);
        }
    }
}

#[mpm::test]
fn b50_await() {
    let _guard = watchdog();
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let sum = block_on(async {
            let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49 * 50);
        let error = block_on(pool.submit(die::job(Way::Exit(3))).unwrap()).unwrap_err();
        assert!(error.is_died());
    }
}

#[mpm::test]
fn b50_several_tasks_and_a_task_that_is_dropped() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(2);
    thread::scope(|scope| {
        for n in 0..6 {
            let pool = &pool;
            scope.spawn(move || assert_eq!(block_on(pool.submit(double::job(n)).unwrap()).unwrap(), 2 * n));
        }
    });
    // A task that is dropped while it awaits: its job goes on, and its waker is called or not, harmlessly.
    let mut job = Box::pin(pool.submit(pass::job(&path)).unwrap());
    assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    gate.wait_for(1);
    drop(job);
    gate.open();
    assert!(block_on(pool.submit(pass::job(&path)).unwrap()).is_ok());
}

/// A waker that tells how often it was called.
struct Count(Sender<()>);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

#[mpm::test]
fn b50_only_the_last_waker_is_called() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1);
    let mut job = Box::pin(pool.submit(pass::job(&path)).unwrap());
    let ((first, first_called), (last, last_called)) = (channel(), channel());
    for sender in [first, last] {
        let waker = Waker::from(Arc::new(Count(sender)));
        assert!(job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.open();
    last_called.recv().expect("the task that polled last is woken");
    assert!(first_called.recv().is_err(), "the one before has handed the job on");
    assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert!(matches!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(JobError::Taken))));
}

/// A waker of the user's that is broken.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[mpm::test]
fn b50_a_waker_that_panics_hurts_no_other_job() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(2);
    let mut jobs: Vec<_> = (0..8).map(|_| Box::pin(pool.submit(pass::job(&path)).unwrap())).collect();
    let broken = Waker::from(Arc::new(Broken));
    for job in jobs.iter_mut().step_by(2) {
        assert!(job.as_mut().poll(&mut Context::from_waker(&broken)).is_pending());
    }
    gate.open();
    for job in jobs {
        assert!(block_on(job).is_ok());
    }
    assert_eq!(pool.run(double::job(5)).unwrap(), 10);
}
