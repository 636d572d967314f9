//! Behaviours 105 and 107: jobs that survive SIGTERM and return, and what comes after them in their worker.

use std::process;
use std::thread;
use std::time::Duration;

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{Gate, arrive_at, note_signal, noted_signal, wait_until, watchdog};
use tempfile::TempDir;

use crate::jobs::pid;
use crate::{hasty, ms, timed_out};

conform!(g107_a_worker_that_hangs_at_its_end_after_sigterm_is_killed, g107_a_worker_that_has_survived_sigterm_is_replaced);

/// Heeds no SIGTERM, and returns so long after one has come.
#[worker]
fn outlive_sigterm(gate: &str, time: Duration) -> u32 {
    note_signal(libc::SIGTERM);
    wait_until("it is told to end", || noted_signal() == libc::SIGTERM);
    arrive_at(gate);
    thread::sleep(time); // the job's own work
    process::id()
}

/// Never ends by itself.
#[worker]
fn hang() {
    loop {
        thread::park();
    }
}

fn g107_a_worker_that_hangs_at_its_end_after_sigterm_is_killed(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    // So much time that a busy machine is prepared for SIGTERM before it comes.
    let pool = hasty(method, 1).grace(Duration::from_secs(2)).max_jobs(1);
    let pool = pool.on_stop(hang::job()).on_stop_timeout(ms(100)).build().unwrap();
    let job = pool.submit(outlive_sigterm::job(&gate.path(), Duration::ZERO).timeout(ms(10))).unwrap();
    pool.join();
    // That a machine stalls until SIGKILL comes is possible.
    if let Err(error) = job.wait() {
        assert!(error.is_timed_out(), "{error}");
    }
}

fn g107_a_worker_that_has_survived_sigterm_is_replaced(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let pool = hasty(method, 1).grace(Duration::from_secs(2)).build().unwrap();
    // As above, but not each time.
    let survivor = (0..4).find_map(|_| pool.run(outlive_sigterm::job(&gate.path(), Duration::ZERO).timeout(ms(10))).ok());
    assert_ne!(pool.run(pid::job()).unwrap(), survivor.expect("its value counts"));
}

#[mpm::test]
fn g107_a_shutdown_hurries_what_has_survived_sigterm() {
    let _watchdog = watchdog();
    let folder = TempDir::new().unwrap();
    let is_hurried = |round: u32| {
        let gate = Gate::new(folder.path(), &format!("gate-{round}"));
        // Its own SIGKILL would come after it has returned.
        let pool = Pool::builder().workers(1).grace(Duration::from_secs(8)).unresponsive(Duration::MAX).build().unwrap();
        let job = pool.submit(outlive_sigterm::job(&gate.path(), Duration::from_secs(3)).timeout(ms(10))).unwrap();
        gate.wait_for(1);
        pool.shutdown(ms(100));
        job.wait().is_err_and(|error| timed_out::<u32>(Err(error)).how.and_then(|how| how.signal()) == Some(libc::SIGKILL))
    };
    // Who is not hurried returns each time; on a machine that stalls for 3 s, this one does once.
    assert!((0..3).any(is_hurried));
}
