//! Copies of this process that its user makes by fork(2) while pools and processes are in use: the original feels nothing.

use std::process;

use mpm::{Pool, Process, StartMethod};
use mpm_tests::{Gate, alone, children_of, in_forked_copy, wait_until};
use tempfile::TempDir;

use crate::pools::{begin, double, pass, pid, pool_of};

#[mpm::test]
fn a_copy_uses_and_drops_everything() {
    alone("copies::a_copy_uses_and_drops_everything", || {
        for method in StartMethod::ALL {
            let folder = TempDir::new().unwrap();
            let gate = Gate::new(folder.path(), "gate");
            let path = gate.path();
            let mut pool = Some(pool_of(2, method));
            let running = pool.as_ref().unwrap().submit(pass::job(&path)).unwrap();
            let mut process = Some(begin(Process::builder(pass::job(&path)), method).unwrap());
            gate.wait_for(2);
            for round in 0..10 {
                let ok = in_forked_copy(|| {
                    let (copy, child) = (pool.take().unwrap(), process.take().unwrap());
                    let refused = copy.submit(double::job(1)).is_err() && copy.run(double::job(1)).is_err();
                    let strange = child.join().is_err() && child.kill().is_err() && child.terminate().is_err();
                    let none = mpm::active_processes().is_empty();
                    match round % 4 {
                        0 => copy.kill(),
                        1 => copy.join(),
                        2 => drop(copy),
                        _ => std::mem::forget(copy),
                    }
                    drop(child);
                    refused && strange && none
                });
                assert!(ok, "{method}, round {round}");
                assert_eq!(pool.as_ref().unwrap().run(double::job(round)).unwrap(), 2 * round);
            }
            gate.open();
            assert!(running.wait().is_ok(), "{method}");
            assert!(process.take().unwrap().wait().is_ok(), "{method}");
            let pool = pool.take().unwrap();
            assert_eq!(pool.run(double::job(5)).unwrap(), 10);
        }
        wait_until("nothing is left", || children_of(process::id()).is_empty());
    });
}

/// A copy is a process like any other: it may have pools, templates and processes of its own, which end with it.
#[mpm::test]
fn a_copy_has_its_own() {
    alone("copies::a_copy_has_its_own", || {
        for method in StartMethod::ALL {
            let pool = pool_of(1, method);
            assert!(pool.run(pid::job()).is_ok());
            for _ in 0..5 {
                let ok = in_forked_copy(|| {
                    let own = Pool::builder().workers(1).start(StartMethod::Spawn).build().unwrap();
                    let served = Pool::builder().workers(1).start(StartMethod::ForkServer).build().unwrap();
                    let process = Process::builder(double::job(4)).start().unwrap();
                    own.run(double::job(2)).unwrap() == 4
                        && served.run(double::job(3)).unwrap() == 6
                        && process.wait().unwrap() == 8
                });
                assert!(ok, "{method}");
            }
            assert_eq!(pool.run(double::job(6)).unwrap(), 12, "{method}");
        }
    });
}
