//! Behaviours 146 and 148: a pool that ends while others wait for its jobs, and one that is ended by who is woken.

use std::future::Future;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use mpm::{JobError, Pool, StartMethod};
use mpm_tests::{Gate, block_on, wait_until};
use tempfile::TempDir;

use crate::pools::{double, pass, pid, pool_of};
use crate::{ENDS, LONG, is_cancelled};

conform!(j146_the_end_from_a_waker, j148_all_who_wait_are_woken_by_the_end);

/// A waker that ends the pool, on whatever thread it is called.
struct Ender {
    pool: Mutex<Option<Arc<Pool>>>,
    end: fn(&Pool),
    done: Sender<()>,
}

impl Wake for Ender {
    fn wake(self: Arc<Self>) {
        if let Some(pool) = self.pool.lock().unwrap().take() {
            (self.end)(&pool);
            assert!(pool.submit(pid::job()).unwrap_err().is_closed());
            // It may be the last one that holds the pool.
            drop(pool);
            self.done.send(()).unwrap();
        }
    }
}

fn j146_the_end_from_a_waker(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for (at, end) in ENDS.into_iter().enumerate() {
        for main_waits in [false, true] {
            let gate = Gate::new(folder.path(), &format!("gate-{at}-{main_waits}"));
            let path = gate.path();
            let pool = Arc::new(pool_of(1, method));
            let mut job = Box::pin(pool.submit(pass::job(&path)).unwrap());
            let waiting = pool.submit(double::job(1)).unwrap();
            let (done, ended) = channel();
            let waker = Waker::from(Arc::new(Ender { pool: Mutex::new(Some(Arc::clone(&pool))), end, done }));
            assert!(job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            gate.wait_for(1);
            if main_waits {
                let joiner = thread::spawn(move || pool.join());
                wait_until("the gate can be opened", || thread_waits(&joiner));
                gate.open();
                joiner.join().unwrap();
            } else {
                drop(pool);
                gate.open();
            }
            ended.recv().unwrap();
            assert!(block_on(job).is_ok());
            assert!(matches!(waiting.wait(), Ok(2) | Err(JobError::Cancelled(_))));
        }
    }
}

/// Long enough looked at for the thread to have begun to wait, mostly; the test holds in either case.
fn thread_waits(thread: &thread::JoinHandle<()>) -> bool {
    thread::yield_now();
    !thread.is_finished()
}

fn j148_all_who_wait_are_woken_by_the_end(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1, method);
    let submit = || pool.submit(pass::job(&path)).unwrap();
    let (a, b, c, mut d, e) = (submit(), submit(), submit(), submit(), submit());
    gate.wait_for(1);
    thread::scope(|scope| {
        scope.spawn(|| assert!(is_cancelled(&a.wait())));
        scope.spawn(|| assert!(is_cancelled(&block_on(b))));
        scope.spawn(|| assert_eq!(mpm::wait_any(&[c]), Some(0)));
        scope.spawn(move || assert!(d.wait_timeout(LONG).is_some_and(|outcome| is_cancelled(&outcome))));
        scope.spawn(|| assert!(mpm::as_completed([e]).all(|(_, outcome)| is_cancelled(&outcome))));
        scope.spawn(|| assert!(pool.map::<pass>([path.as_str()]).all(|outcome| outcome.is_err())));
        pool.kill();
    });
}
