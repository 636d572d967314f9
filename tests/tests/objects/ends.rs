//! The end of objects: dropped in reverse order when their worker ends in order, and not when it is killed or exits.

use std::fs;
use std::time::Duration;

use mpm::{Pool, Process, StartMethod};
use mpm_tests::{alone_with_one_thread, doomed, kill, process_gone, report, wait_until, watchdog};
use tempfile::TempDir;

use crate::witness::{Diary, Witness, patient};

/// A pool of one worker that has used three objects.
fn with_three(diary: &Diary, method: StartMethod) -> (Pool, u32) {
    let pool = patient().workers(1).start(method).build().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| Witness::remote(&diary.file(), name));
    let mut pid = 0;
    // Used in another order than built.
    for witness in [&a, &b, &c, &b, &a] {
        pid = pool.run(witness.call()).unwrap().0;
    }
    (pool, pid)
}

#[mpm::test]
fn in_order_the_youngest_goes_first() {
    alone_with_one_thread("ends::in_order_the_youngest_goes_first", || {
        for method in StartMethod::ALL {
            let ends: [fn(&Pool); 3] = [Pool::join, |pool| pool.shutdown(Duration::from_secs(60)), |_| ()];
            for end in ends {
                let diary = Diary::new();
                let (pool, pid) = with_three(&diary, method);
                assert_eq!(diary.words(), ["built a", "built b", "built c"]);
                end(&pool);
                drop(pool);
                assert_eq!(diary.words()[3..], ["dropped c", "dropped b", "dropped a"], "{method}");
                assert!(diary.lines().iter().all(|(_, writer)| *writer == pid));
            }
        }
    });
}

#[mpm::test]
fn a_recycled_worker_ends_in_order() {
    alone_with_one_thread("ends::a_recycled_worker_ends_in_order", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = patient().workers(1).max_jobs(3).start(method).build().unwrap();
            let [a, b] = ["a", "b"].map(|name| Witness::remote(&diary.file(), name));
            for n in 0..9 {
                pool.run(if n % 3 == 0 { a.call() } else { b.call() }).unwrap();
            }
            pool.join();
            let mut workers: Vec<u32> = diary.lines().into_iter().map(|(_, pid)| pid).collect();
            workers.sort_unstable();
            workers.dedup();
            assert_eq!(workers.len(), 3, "{method}");
            for worker in workers {
                let life: Vec<String> = diary.lines().into_iter().filter(|(_, pid)| *pid == worker).map(|(line, _)| line).collect();
                assert_eq!(life, ["built a", "built b", "dropped b", "dropped a"], "{method}");
            }
        }
    });
}

#[mpm::test]
fn a_killed_worker_drops_nothing() {
    alone_with_one_thread("ends::a_killed_worker_drops_nothing", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let (pool, _) = with_three(&diary, method);
            pool.kill();
            assert_eq!(diary.lines().len(), 3, "{method}: by the pool");

            let diary = Diary::new();
            let (pool, pid) = with_three(&diary, method);
            kill(pid, libc::SIGKILL);
            wait_until("it is gone", || process_gone(pid));
            pool.join();
            assert_eq!(diary.lines().len(), 3, "{method}: by a signal");
        }
    });
}

#[mpm::test]
fn a_method_that_exits_drops_nothing() {
    alone_with_one_thread("ends::a_method_that_exits_drops_nothing", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let (pool, _) = with_three(&diary, method);
            let leaving = Witness::remote(&diary.file(), "leaving");
            let error = pool.run(leaving.exit(3)).unwrap_err();
            assert_eq!(error.death().and_then(|death| death.how.code()), Some(3));
            assert_eq!(diary.lines().len(), 4, "{method}: {:?}", diary.words());
        }
    });
}

#[mpm::test]
fn a_single_process_drops_what_it_has_built() {
    alone_with_one_thread("ends::a_single_process_drops_what_it_has_built", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let witness = Witness::remote(&diary.file(), "w");
            let start = || Process::builder(witness.call()).start_method(method).start().unwrap();
            let process = start();
            let pid = process.pid();
            assert_eq!(process.wait().unwrap(), (pid, 1), "{method}");
            assert_eq!(diary.lines(), [("built w".to_owned(), pid), ("dropped w".to_owned(), pid)]);
            // Another process, another object.
            assert_eq!(start().wait().unwrap().1, 1);
            assert_eq!(diary.lines().len(), 4);
        }
    });
}

/// What the drop of an object says is heard, also in the end.
#[mpm::test]
fn the_end_is_said_on_standard_error() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("ends::the_end_is_said_on_standard_error", folder.path(), |folder| {
        let pool = patient().name("end").workers(1).build().unwrap();
        pool.run(crate::copies::Loud::remote().call()).unwrap();
        pool.join();
        report(folder, "");
    });
    assert!(process.wait().success(), "{}", process.output());
    let output = fs::read_to_string(folder.path().join("output")).unwrap();
    let line = "mpm: end-0: the drop of an object `objects::copies::Loud` panicked: a last word";
    assert!(output.lines().any(|other| other == line), "{output}");
}
