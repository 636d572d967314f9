//! Pools that end while others use them.

use std::thread;

use mpm::{Pool, worker};
use mpm_tests::watchdog;

/// Short enough to be waited for without sleep, long enough to be caught in the middle.
#[worker]
fn burn(micros: u64) -> u64 {
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_micros(micros) {}
    micros
}

/// A thread that waits for a short job takes the response in by itself. If that is the last one of a pool that is being
/// joined, the pool must still see that it is done.
#[mpm::test]
fn join_returns_when_a_waiting_thread_took_the_last_response() {
    let _watchdog = watchdog();
    for round in 0..200 {
        let pool = Pool::builder().workers(1 + round % 2).build().unwrap();
        pool.run(burn::job(1)).unwrap();
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let pool = &pool;
            let user = scope.spawn(move || {
                for n in 0u64.. {
                    if n == 20 {
                        tell.send(()).unwrap();
                    }
                    if pool.run(burn::job(3 + n % 4)).is_err() {
                        return;
                    }
                }
            });
            told.recv().unwrap();
            pool.join();
            assert!(pool.submit(burn::job(1)).unwrap_err().is_closed());
            user.join().unwrap();
        });
    }
}
