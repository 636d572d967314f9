//! Behaviour 151: the first Ctrl-C finishes, the second hurries, the third kills.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use mpm::StartMethod;
use mpm::signals;
use mpm_tests::{Doomed, doomed, report, wait_until};
use tempfile::TempDir;

use crate::LONG;
use crate::busy::{Busy, let_go, meet};
use crate::pools::{double, pool_of};

conform!(j151_staged_ctrl_c, j151_a_signal_that_finds_no_pool_does_what_it_did_before, j151_several_pools_end_together,);

fn j151_staged_ctrl_c(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed(&format!("stages::j151_staged_ctrl_c::{method}"), folder.path(), |folder| {
        let finishes = Busy::new(method, folder, "finishes", LONG);
        {
            let _guard = signals::shutdown_on_ctrl_c(&finishes.pool).unwrap();
            meet(folder, "first");
            finishes.wait_closed();
            assert!(finishes.jobs.iter().all(|job| !job.is_finished()));
            finishes.gate.open();
            assert_eq!(finishes.outcomes(), "vvv");
        }
        let hurries = Busy::new(method, folder, "hurries", Duration::from_millis(50));
        {
            let _guard = signals::shutdown_on_ctrl_c(&hurries.pool).unwrap();
            meet(folder, "second");
            hurries.wait_closed();
            meet(folder, "still");
            assert_eq!(hurries.outcomes(), "ccc");
        }
        let kills = Busy::new(method, folder, "kills", LONG);
        {
            let _guard = signals::shutdown_on_ctrl_c(&kills.pool).unwrap();
            meet(folder, "third");
            kills.wait_closed();
            meet(folder, "still");
            assert!(kills.jobs[1].report().pid.is_none());
            wait_until("what waits is cancelled", || kills.jobs[1].is_finished() && kills.jobs[2].is_finished());
            assert!(!kills.jobs[0].is_finished(), "it has a long grace");
            meet(folder, "again");
            assert_eq!(kills.outcomes(), "ccc");
        }
        meet(folder, "done");
    });
    let interrupt = |process: &Doomed| process.kill(libc::SIGINT);
    for expected in ["first", "second", "still", "third", "still", "again"] {
        assert_eq!(let_go(&mut process, folder.path(), interrupt), expected, "{}", process.output());
    }
    // The guards have given it back: now it means what it meant before.
    process.wait_report();
    process.kill(libc::SIGINT);
    assert_eq!(process.wait().signal(), Some(libc::SIGINT), "{}", process.output());
}

fn j151_a_signal_that_finds_no_pool_does_what_it_did_before(method: StartMethod) {
    for keeps in [true, false] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("keeps"), keeps.to_string()).unwrap();
        let name = format!("stages::j151_a_signal_that_finds_no_pool_does_what_it_did_before::{method}");
        let mut process = doomed(&name, folder.path(), |folder| {
            let pool = pool_of(1, method);
            let _guard = signals::shutdown_on_ctrl_c(&pool).unwrap();
            assert_eq!(pool.run(double::job(4)).unwrap(), 8);
            // The guard does not keep the pool, nor does the pool that has ended keep the signal.
            if fs::read_to_string(folder.join("keeps")).unwrap() == "true" {
                pool.join();
            } else {
                drop(pool);
            }
            report(folder, "ended");
            loop {
                thread::park();
            }
        });
        process.wait_report();
        process.kill(libc::SIGINT);
        assert_eq!(process.wait().signal(), Some(libc::SIGINT), "{}", process.output());
    }
}

fn j151_several_pools_end_together(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed(&format!("stages::j151_several_pools_end_together::{method}"), folder.path(), |folder| {
        let busy = [Busy::new(method, folder, "one", LONG), Busy::new(method, folder, "two", LONG)];
        let _first = signals::shutdown_on_ctrl_c(&busy[0].pool).unwrap();
        let second = signals::shutdown_on_ctrl_c(&busy[1].pool).unwrap();
        let other = pool_of(1, method);
        meet(folder, "both");
        busy.iter().for_each(Busy::wait_closed);
        assert_eq!(other.run(double::job(4)).unwrap(), 8, "nobody has asked for this one's end");
        // One counts less than the other from here on.
        drop(second);
        meet(folder, "one");
        let [one, two] = busy;
        wait_until("what waits is cancelled", || one.jobs[1].is_finished() && one.jobs[2].is_finished());
        [&one, &two].iter().for_each(|busy| busy.gate.open());
        assert_eq!((one.outcomes().as_str(), two.outcomes().as_str()), ("vcc", "vvv"));
    });
    for expected in ["both", "one"] {
        let met = let_go(&mut process, folder.path(), |process| process.kill(libc::SIGINT));
        assert_eq!(met, expected, "{}", process.output());
    }
    assert!(process.wait().success(), "{}", process.output());
}
