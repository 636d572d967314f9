//! Pauses: nothing starts, nothing is lost, and an end of the pool is an end of the pause.

use std::thread;
use std::time::Duration;

use mpm_tests::{Gate, call_of, kill, wait_until, watchdog};

use crate::marks::{METHODS, end_well, folder, mark, pid, pool, started, warm};

#[mpm::test]
fn in_a_pause_what_runs_goes_on_and_nothing_starts() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(2).build().unwrap();
    warm(&pool);
    let running: Vec<_> = (0..2).map(|n| pool.submit(mark::job(&marks, n, &gate.path())).unwrap()).collect();
    gate.wait_for(2);
    // Some of these are with the workers already.
    let before: Vec<_> = (10..40).map(|n| pool.submit(mark::job(&marks, n, "")).unwrap()).collect();
    pool.pause();
    pool.pause();
    assert!(pool.is_paused());
    let after: Vec<_> = (40..50).map(|n| pool.submit(mark::job(&marks, n, "").priority(1)).unwrap()).collect();
    gate.open();
    end_well(running);
    // The workers are idle, and stay so to the end: what they did would be seen below.
    assert!(before.iter().chain(&after).all(|job| !job.is_finished()));
    pool.shutdown(Duration::from_secs(60));
    assert!(before.into_iter().chain(after).all(|job| job.wait().unwrap_err().is_cancelled()));
    assert_eq!(started(&marks).len(), 2);
}

#[mpm::test]
fn after_a_pause_all_goes_on_in_order() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    warm(&pool);
    let running = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
    gate.wait_for(1);
    let jobs: Vec<_> = (1..40).map(|n| pool.submit(mark::job(&marks, n, "")).unwrap()).collect();
    pool.pause();
    gate.open();
    running.wait().unwrap();
    pool.resume();
    assert!(!pool.is_paused());
    end_well(jobs);
    pool.resume();
    assert_eq!(started(&marks), (0..40).collect::<Vec<_>>());
}

#[mpm::test]
fn a_map_in_a_pause_goes_on_after_it() {
    let _watchdog = watchdog();
    let pool = pool(2).build().unwrap();
    thread::scope(|scope| {
        let count = scope.spawn(|| pool.map::<pid>((0..20_000).map(|_| ())).filter(Result::is_ok).count());
        for _ in 0..50 {
            pool.pause();
            pool.resume();
        }
        assert_eq!(count.join().unwrap(), 20_000);
    });
}

#[mpm::test]
fn who_waits_for_room_in_a_pause_is_let_in_after_it_or_sent_away_at_the_end() {
    let _watchdog = watchdog();
    for is_resumed in [true, false] {
        let pool = pool(1).queue(1).build().unwrap();
        pool.pause();
        let waits = pool.submit(pid::job()).unwrap();
        assert!(pool.try_submit(pid::job()).unwrap_err().is_full());
        thread::scope(|scope| {
            let submit = || pool.submit(pid::job()).map(mpm::JobHandle::wait).map_err(|error| error.is_closed());
            let blocked = thread::Builder::new().name("blocked".to_owned()).spawn_scoped(scope, submit).unwrap();
            wait_until("the thread waits for room", || call_of("blocked") == Some(libc::SYS_futex));
            if is_resumed {
                pool.resume();
                assert!(matches!(blocked.join().unwrap(), Ok(Ok(_))));
            } else {
                pool.kill();
                assert!(matches!(blocked.join().unwrap(), Err(true)));
            }
        });
        assert_eq!(waits.wait().is_ok(), is_resumed);
    }
}

#[mpm::test]
fn a_pool_that_ends_is_not_paused_any_more() {
    let _watchdog = watchdog();
    for method in METHODS {
        let (_folder, marks) = folder();
        let joined = pool(2).start(method).build().unwrap();
        joined.pause();
        let jobs: Vec<_> = (0..20).map(|n| joined.submit(mark::job(&marks, n, "")).unwrap()).collect();
        joined.join();
        assert!(!joined.is_paused());
        assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
        joined.pause();
        assert!(!joined.is_paused(), "nothing is there to be paused");

        let dropped = pool(2).start(method).build().unwrap();
        dropped.pause();
        let jobs: Vec<_> = (0..20).map(|n| dropped.submit(mark::job(&marks, n, "")).unwrap()).collect();
        drop(dropped);
        assert!(jobs.into_iter().all(|job| job.wait().unwrap_err().is_cancelled()));
        assert_eq!(started(&marks).len(), 20);
    }
}

#[mpm::test]
fn a_worker_that_dies_in_a_pause_is_replaced_and_what_it_had_not_started_waits() {
    let _watchdog = watchdog();
    for method in METHODS {
        let (folder, marks) = folder();
        let gate = Gate::new(folder.path(), "gate");
        let pool = pool(1).start(method).build().unwrap();
        let dies = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
        gate.wait_for(1);
        let jobs: Vec<_> = (1..5).map(|n| pool.submit(mark::job(&marks, n, "")).unwrap()).collect();
        pool.pause();
        kill(dies.report().pid.unwrap(), libc::SIGKILL);
        assert!(dies.wait().unwrap_err().death().is_some());
        assert_eq!(started(&marks), [0]);
        pool.resume();
        end_well(jobs);
        assert_eq!(started(&marks), (0..5).collect::<Vec<_>>());
    }
}
