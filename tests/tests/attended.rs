//! Threads that sleep on the link of a worker, while others cancel, kill and watch there: each learns of the end of its job when
//! that comes.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread::{self, JoinHandle as Thread};
use std::time::Duration;

use mpm::{JobError, JobHandle, Pool, worker};
use mpm_tests::{Gate, kill, wait_at, wait_until, watchdog};

#[worker]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[worker]
fn wait_for(gate: &str) -> u64 {
    wait_at(gate);
    0
}

/// A pool of one worker, whose jobs have been short: the next ones are handed over several at a time.
fn settled() -> Pool {
    let pool = Pool::builder().workers(1).build().unwrap();
    for n in 0..1000 {
        pool.run(add::job(n, 1)).unwrap();
    }
    pool
}

/// Waits for the job on a thread of its own, which sleeps when this returns.
fn wait_asleep(job: JobHandle<u64>) -> Thread<Result<u64, JobError>> {
    let thread = thread::Builder::new().name("waits".to_owned()).spawn(move || job.wait()).unwrap();
    let sleeps = || {
        fs::read_dir("/proc/self/task").unwrap().flatten().any(|thread| {
            let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            read("comm").trim() == "waits" && read("wchan").contains("futex")
        })
    };
    wait_until("the thread sleeps", sleeps);
    thread
}

struct Tell(Sender<()>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
    }
}

/// The thread that waited for a later job was the only one who was called.
#[mpm::test]
fn a_job_that_is_watched_late_is_told_of_before_a_later_one_for_which_a_thread_waits() {
    let _guard = watchdog();
    let (pool, folder) = (settled(), tempfile::tempdir().unwrap());
    let gates = ["first", "second"].map(|name| Gate::new(folder.path(), name));
    let mut first = pool.submit(wait_for::job(&gates[0].path())).unwrap();
    let second = pool.submit(wait_for::job(&gates[1].path())).unwrap();
    gates[0].wait_for(1);
    let waits = wait_asleep(second);
    let (told, tells) = channel();
    let waker = Waker::from(Arc::new(Tell(told)));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    gates[0].open();
    tells.recv().unwrap();
    assert!(first.is_finished());
    gates[1].open();
    waits.join().unwrap().unwrap();
}

/// A job before the awaited one is cancelled: what is behind it gets other numbers, and the call for the old one never came.
#[mpm::test]
fn a_job_is_waited_for_while_one_before_it_is_cancelled() {
    let _guard = watchdog();
    let (pool, folder) = (settled(), tempfile::tempdir().unwrap());
    let gate = Gate::new(folder.path(), "gate");
    let runs = pool.submit(wait_for::job(&gate.path())).unwrap();
    let between = pool.submit(add::job(1, 1)).unwrap();
    let last = pool.submit(add::job(2, 2)).unwrap();
    gate.wait_for(1);
    let waits = wait_asleep(last);
    assert!(between.cancel());
    gate.open();
    assert_eq!(waits.join().unwrap().unwrap(), 4);
    runs.wait().unwrap();
    pool.join();
}

/// The worker dies, and the awaited job goes to another one with a long one behind it, where nobody knew that it is waited for.
#[mpm::test]
fn a_job_is_waited_for_while_it_moves_to_another_worker() {
    let _guard = watchdog();
    let (pool, folder) = (settled(), tempfile::tempdir().unwrap());
    let gates = ["dies", "long"].map(|name| Gate::new(folder.path(), name));
    let dies = pool.submit(wait_for::job(&gates[0].path())).unwrap();
    let moves = pool.submit(add::job(2, 2)).unwrap();
    let long = pool.submit(wait_for::job(&gates[1].path())).unwrap();
    gates[0].wait_for(1);
    let waits = wait_asleep(moves);
    kill(dies.report().pid.unwrap(), libc::SIGKILL);
    assert!(dies.wait().unwrap_err().is_died());
    assert_eq!(waits.join().unwrap().unwrap(), 4);
    gates[1].open();
    long.wait().unwrap();
}

#[mpm::test]
fn the_longest_times_can_be_waited_for() {
    let _guard = watchdog();
    let (pool, folder) = (settled(), tempfile::tempdir().unwrap());
    for time in [Duration::from_millis(u64::MAX), Duration::from_secs(1 << 40), Duration::MAX] {
        let gate = Gate::new(folder.path(), &format!("{}", time.as_secs()));
        let mut job = pool.submit(wait_for::job(&gate.path())).unwrap();
        gate.wait_for(1);
        let waits = thread::spawn(move || job.wait_timeout(time));
        gate.open();
        assert_eq!(waits.join().unwrap().unwrap().unwrap(), 0);
    }
}

/// Runs a job when its thread ends, after the thread's other locals may be gone.
struct AtEnd(Option<(Arc<Pool>, Sender<u64>)>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some((pool, done)) = self.0.take() {
            done.send(pool.run(add::job(3, 4)).unwrap() + pool.submit(add::job(5, 6)).unwrap().wait().unwrap()).unwrap();
        }
    }
}

thread_local! {
    static AT_END: std::cell::RefCell<AtEnd> = const { std::cell::RefCell::new(AtEnd(None)) };
}

#[mpm::test]
fn a_pool_works_in_a_thread_that_is_ending() {
    let _guard = watchdog();
    let pool = Arc::new(settled());
    let (done, dones) = channel();
    let other = Arc::clone(&pool);
    thread::spawn(move || {
        AT_END.with_borrow_mut(|at_end| at_end.0 = Some((Arc::clone(&other), done)));
        other.run(add::job(1, 2)).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(dones.recv().unwrap(), 18);
}
