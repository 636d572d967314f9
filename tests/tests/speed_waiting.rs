//! Threads that take the responses to their jobs in by themselves: whatever ends a job, the thread that sleeps for it on a link
//! is woken; many wait on few workers; user code runs on mpm's own thread alone. The same again where the system has no way to
//! sleep on a link and a job at once.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::future::Future;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use jobs::{double, pass, pool_of, worker_counts};
use mpm::{JobError, JobHandle, Pool};
use mpm_tests::{Gate, alone, call_of, children_of, deny_with, kill, wait_until};
use tempfile::TempDir;

/// The thread that waits in these tests.
const WAITER: &str = "waiter";

/// Runs `wait` on a thread of that name, and `act` once it sleeps; what `wait` gives.
fn while_asleep<T: Send>(wait: impl FnOnce() -> T + Send, act: impl FnOnce()) -> T {
    thread::scope(|scope| {
        let waiter = thread::Builder::new().name(WAITER.to_owned()).spawn_scoped(scope, wait).unwrap();
        wait_until("the waiter sleeps", || is_asleep(WAITER));
        act();
        waiter.join().unwrap()
    })
}

/// Whether a thread sleeps on a word, or on one of two.
fn is_asleep(name: &str) -> bool {
    call_of(name).is_some_and(|call| [libc::SYS_futex, libc::SYS_futex_waitv].contains(&call))
}

/// Jobs of the pool count as short from now on, so that several of them are handed to a worker at a time.
fn settle(pool: &Pool) {
    (0..200).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
}

/// A pool with gates, one for each worker, whose workers are busy until theirs is opened.
struct Busy {
    pool: Pool,
    gates: Vec<Gate>,
    running: Vec<JobHandle<u32>>,
    _folder: TempDir,
}

impl Busy {
    fn new(workers: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let pool = pool_of(workers);
        wait_until("all are there", || children_of(process::id()).len() == workers);
        settle(&pool);
        let gates: Vec<Gate> = (0..workers).map(|n| Gate::new(folder.path(), &format!("gate {n}"))).collect();
        let running = gates.iter().map(|gate| pool.submit(pass::job(&gate.path())).unwrap()).collect();
        gates.iter().for_each(|gate| gate.wait_for(1));
        Self { pool, gates, running, _folder: folder }
    }

    fn next(&self) -> JobHandle<u64> {
        self.pool.submit(double::job(21)).unwrap()
    }

    fn open(&self) {
        self.gates.iter().for_each(Gate::open);
    }
}

fn the_job_is_cancelled() {
    let busy = Busy::new(1);
    // Who cancels has the handle, so that who waits has a share of it.
    let job = [busy.next()];
    while_asleep(|| mpm::wait_all(&job), || assert!(job[0].cancel()));
    let [job] = job;
    assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
    busy.open();
}

fn all_that_waits_is_cancelled() {
    let busy = Busy::new(1);
    let job = busy.next();
    thread::scope(|scope| {
        let shutdown = || busy.pool.shutdown(Duration::from_secs(60));
        let ended = while_asleep(|| job.wait(), || drop(scope.spawn(shutdown)));
        assert!(matches!(ended, Err(JobError::Cancelled(_))), "{ended:?}");
        busy.open();
    });
}

fn the_worker_is_killed() {
    let mut busy = Busy::new(1);
    let running = busy.running.pop().unwrap();
    let behind = busy.next();
    let worker = running.report().pid.unwrap();
    let ended = while_asleep(|| running.wait(), || kill(worker, libc::SIGKILL));
    assert!(ended.unwrap_err().is_died());
    assert_eq!(behind.wait().unwrap(), 42);
}

fn the_worker_is_killed_under_a_job_in_front() {
    let busy = Busy::new(1);
    let job = busy.next();
    let worker = busy.running[0].report().pid.unwrap();
    assert_eq!(while_asleep(|| job.wait(), || kill(worker, libc::SIGKILL)).unwrap(), 42);
}

fn the_pool_is_killed() {
    let mut busy = Busy::new(1);
    let running = busy.running.pop().unwrap();
    assert!(while_asleep(|| running.wait(), || busy.pool.kill()).is_err());
    let busy = Busy::new(1);
    let job = busy.next();
    assert!(while_asleep(|| job.wait(), || busy.pool.kill()).is_err());
}

fn the_time_is_over() {
    let mut busy = Busy::new(1);
    let mut job = busy.running.pop().unwrap();
    for time in [0, 1, 50] {
        assert!(job.wait_timeout(Duration::from_millis(time)).is_none());
    }
    let mut behind = busy.next();
    assert!(behind.wait_timeout(Duration::from_millis(1)).is_none());
    busy.open();
    assert!(job.wait_timeout(Duration::from_secs(60)).unwrap().is_ok());
    assert_eq!(behind.wait_timeout(Duration::from_secs(60)).unwrap().unwrap(), 42);
}

fn another_worker_takes_the_jobs_over() {
    let busy = Busy::new(2);
    let jobs: Vec<_> = (0..8).map(|_| busy.next()).collect();
    thread::scope(|scope| {
        let threads = (0..).zip(jobs).map(|(n, job)| {
            let name = format!("{WAITER} {n}");
            thread::Builder::new().name(name).spawn_scoped(scope, || job.wait().unwrap()).unwrap()
        });
        let threads: Vec<_> = threads.collect();
        wait_until("all sleep", || (0..8).all(|n| is_asleep(&format!("{WAITER} {n}"))));
        // The other worker stays where it is.
        busy.gates[0].open();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 42));
    });
    busy.open();
}

fn many_wait_on_few() {
    for workers in worker_counts() {
        let pool = pool_of(workers);
        let one = |thread: u64, n: u64| {
            let (seed, submit) = (thread << 32 | n, || pool.submit(double::job(thread << 32 | n)).unwrap());
            let value = match n % 4 {
                0 => pool.run(double::job(seed)),
                1 => submit().wait(),
                2 => {
                    let mut job = submit();
                    let some = std::iter::repeat_with(|| job.wait_timeout(Duration::from_micros(20)));
                    some.flatten().next().unwrap()
                }
                _ => {
                    let jobs = [submit(), submit()];
                    mpm::wait_all(&jobs);
                    jobs.into_iter().map(JobHandle::wait).last().unwrap()
                }
            };
            assert_eq!(value.unwrap(), 2 * seed);
        };
        thread::scope(|scope| {
            for thread in 0..16 {
                let one = &one;
                scope.spawn(move || (0..200).for_each(|n| one(thread, n)));
            }
        });
    }
}

fn polling_alone_sees_the_end() {
    let pool = pool_of(1);
    for round in 0..100 {
        let jobs: Vec<_> = (0..round % 7 + 1).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        wait_until("all have ended", || jobs.iter().all(JobHandle::is_finished));
    }
}

/// Notes on which threads it was called.
#[derive(Default)]
struct Called(Mutex<Vec<String>>, Mutex<Option<thread::Thread>>);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
        self.1.lock().unwrap().take().inspect(thread::Thread::unpark);
    }
}

fn wakers_are_called_on_the_pools_thread() {
    let pool = pool_of(2);
    let called = Arc::new(Called::default());
    let waker = Waker::from(Arc::clone(&called));
    let awaited = |n| {
        let mut job = pool.submit(double::job(n)).unwrap();
        loop {
            *called.1.lock().unwrap() = Some(thread::current());
            match Pin::new(&mut job).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => break assert_eq!(value.unwrap(), 2 * n),
                Poll::Pending => thread::park(),
            }
        }
    };
    thread::scope(|scope| {
        let waits = scope.spawn(|| (0..2000).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n)));
        let polls = scope.spawn(|| {
            for n in 0..500 {
                let job = pool.submit(double::job(n)).unwrap();
                wait_until("it has ended", || job.is_finished());
            }
        });
        let submits = scope.spawn(|| (0..2000).for_each(|n| drop(pool.submit(double::job(n)).unwrap())));
        (0..500).for_each(awaited);
        [waits, polls, submits].into_iter().for_each(|thread| thread.join().unwrap());
    });
    let called = called.0.lock().unwrap();
    assert!(called.iter().all(|thread| thread == "mpm-pool"), "{called:?}");
}

/// The behaviours, each in a process of its own: in that where futex_waitv(2) fails with `error`, if it is to.
macro_rules! behaviours {
    ($place:ident, $error:expr, $($behaviour:ident)*) => {
        mod $place {
            use super::*;

            const ERROR: Option<i32> = $error;

            $(#[mpm::test]
            fn $behaviour() {
                alone(concat!(stringify!($place), "::", stringify!($behaviour)), || {
                    if let Some(error) = ERROR {
                        deny_with(libc::SYS_futex_waitv, error);
                    }
                    super::$behaviour();
                });
            })*
        }
    };
    ($place:ident, $error:expr) => {
        behaviours!(
            $place, $error,
            the_job_is_cancelled all_that_waits_is_cancelled the_worker_is_killed the_worker_is_killed_under_a_job_in_front
            the_pool_is_killed the_time_is_over another_worker_takes_the_jobs_over many_wait_on_few polling_alone_sees_the_end
            wakers_are_called_on_the_pools_thread
        );
    };
}

behaviours!(as_it_is, None);
// Linux before 5.16.
behaviours!(without_the_call, Some(libc::ENOSYS));
// A filter of system calls that does not know it.
behaviours!(where_it_is_denied, Some(libc::EPERM));
