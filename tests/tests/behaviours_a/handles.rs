//! Behaviours, group A, numbers 7 to 9 and 12 to 14: what can be done with the handle of a process, and when. Each for every
//! start method.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mpm::{StartMethod, worker};
use mpm_tests::{Gate, children_of, in_forked_copy, lead_session, process_gone, readable, report, wait_until};
use tempfile::TempDir;

use crate::methods::{add, pass, process};

conform! {
    a07_grandchild_notices_its_parents_death,
    a08_join_misuse,
    a09_join_bounds,
    a12_close,
    a13_waitable_handle,
    a13_ready_means_ended,
    a14_active_children,
}

/// B: starts C, and waits for ever.
#[worker]
fn start_a_watcher(method: StartMethod, folder: &Path) {
    let watcher = process(method, watch_the_parent::job(folder)).start().unwrap();
    let _ = watcher.join();
}

/// C: a copy of it that has left its group, and so outlives it, waits for the end of the parent.
#[worker]
fn watch_the_parent(folder: &Path) {
    let me = std::process::id();
    in_forked_copy(|| {
        lead_session();
        let parent = mpm::parent_process().unwrap();
        let alive = parent.is_alive() && !parent.wait_timeout(Duration::ZERO);
        report(folder, &format!("{} {me} {} {alive}", parent.pid(), std::process::id()));
        parent.wait();
        fs::write(folder.join("dead"), (!parent.is_alive() && parent.wait_timeout(Duration::MAX)).to_string()).unwrap();
        true
    });
}

/// A (the test) starts B, B starts C. What C is itself tied to ends it together with B, so a copy of C, which has untied
/// itself, looks on.
fn a07_grandchild_notices_its_parents_death(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let b = process(method, start_a_watcher::job(method, folder.path())).start().unwrap();
    let (ready, dead) = (folder.path().join("ready"), folder.path().join("dead"));
    wait_until("the watcher has reported", || ready.exists());
    let report = fs::read_to_string(ready).unwrap();
    let [parent, c, copy, alive] = report.split(' ').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((parent, alive), (b.pid().to_string().as_str(), "true"));
    assert!(!dead.exists());
    b.kill().unwrap();
    assert_eq!(b.join().unwrap().signal(), Some(libc::SIGKILL));
    wait_until("the watcher has noticed", || fs::read_to_string(&dead).is_ok_and(|text| text == "true"));
    wait_until("nobody is left", || [c, copy].iter().all(|pid| process_gone(pid.parse().unwrap())));
}

/// A process cannot be started twice or joined before it is started, nor can it join itself: there is no handle for that (see the
/// documentation of `Process`). Everything else may be done as often as one likes, but not in a copy of the starting process.
fn a08_join_misuse(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let started = process(method, pass::job(&path)).start().unwrap();
    gate.wait_for(1);
    assert!(in_forked_copy(|| {
        let refusals = [started.join().map(drop), started.join_timeout(Duration::ZERO).map(drop), started.terminate()];
        let refused = refusals.into_iter().chain([started.interrupt(), started.kill()]).all(|result| result.is_err());
        refused && mpm::active_processes().is_empty()
    }));
    assert!(started.is_alive(), "a copy can do nothing to it");
    thread::scope(|scope| {
        let joins = [(); 4].map(|()| scope.spawn(|| started.join().unwrap()));
        let known = mpm::active_processes();
        assert_eq!(known.len(), 1);
        gate.open();
        assert_eq!(known[0].join().unwrap().code(), Some(0));
        assert!(joins.into_iter().all(|join| join.join().unwrap().code() == Some(0)));
    });
    for _ in 0..3 {
        assert_eq!(started.join().unwrap().code(), Some(0));
        assert!(started.terminate().is_ok() && started.interrupt().is_ok() && started.kill().is_ok());
    }
    let pid = started.pid();
    assert_eq!(started.wait().unwrap(), pid);
}

fn a09_join_bounds(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let started = process(method, pass::job(&path)).start().unwrap();
    gate.wait_for(1);
    for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(20)] {
        assert_eq!(started.join_timeout(limit).unwrap(), None);
        assert!(started.is_alive() && started.exit_status().is_none());
    }
    gate.open();
    assert_eq!(started.join_timeout(Duration::MAX).unwrap().unwrap().code(), Some(0));
    assert_eq!(started.join_timeout(Duration::ZERO).unwrap().unwrap().code(), Some(0));
    assert!(!started.is_alive());
}

/// A second `close`, and any use after one, is a type error: `close` consumes the handle.
fn a12_close(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let started = process(method, pass::job(&path)).start().unwrap();
    let pid = started.pid();
    gate.wait_for(1);
    let error = started.close().unwrap_err();
    assert!(error.is_setting() && error.to_string().contains("has not ended"), "{error}");
    let again = mpm::active_processes().pop().unwrap();
    assert!(again.pid() == pid && again.is_alive(), "it goes on");
    gate.open();
    again.join().unwrap();
    again.close().unwrap();
    wait_until("it is gone", || process_gone(pid));
}

/// A negative time, which elsewhere means “look and return”, is no `Duration`; zero is.
fn a13_waitable_handle(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let started = process(method, pass::job(&path)).start().unwrap();
    gate.wait_for(1);
    let ((first, mut to_first), (second, _to_second)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let fds: [BorrowedFd<'_>; 3] = [first.as_fd(), started.wait_fd(), second.as_fd()];
    let now = Some(Duration::ZERO);
    assert_eq!(readable(&fds, now), [false, false, false]);
    assert_eq!(readable(&fds, Some(Duration::from_millis(10))), [false, false, false]);
    to_first.write_all(b"x").unwrap();
    assert_eq!(readable(&fds, None), [true, false, false]);
    gate.open();
    assert_eq!(readable(&fds[1..], None), [true, false]);
    assert_eq!(readable(&fds, now), [true, true, false]);
    started.join().unwrap();
    assert_eq!(readable(&fds, now), [true, true, false], "it stays ready");
}

/// An event loop that has seen an end need not ask twice.
fn a13_ready_means_ended(method: StartMethod) {
    for round in 0..40 {
        let started = process(method, add::job(round, 1)).start().unwrap();
        assert_eq!(readable(&[started.wait_fd()], None), [true]);
        match round % 4 {
            0 => assert_eq!(started.exit_status().unwrap().code(), Some(0)),
            1 => assert!(!started.is_alive()),
            2 => started.close().unwrap(),
            _ => assert!(format!("{started:?}").contains("exited"), "{started:?}"),
        }
    }
}

fn a14_active_children(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let names = || mpm::active_processes().iter().map(|known| known.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), [""; 0]);
    let started = ["one", "two", "three"].map(|name| process(method, pass::job(&path)).name(name).start().unwrap());
    gate.wait_for(3);
    assert_eq!(names(), ["one", "two", "three"]);
    started[1].kill().unwrap();
    started[1].join().unwrap();
    assert_eq!(names(), ["one", "three"]);
    // Nobody joins this one, or has its handle any more: it is reaped and off the list all the same.
    let [one, _, three] = started;
    let pid = three.pid();
    three.kill().unwrap();
    drop(three);
    wait_until("it is off the list", || names() == ["one"]);
    wait_until("it is reaped", || process_gone(pid) && !children_of(std::process::id()).contains(&pid));
    gate.open();
    assert!(one.wait().is_ok());
    assert_eq!(names(), [""; 0]);
}
