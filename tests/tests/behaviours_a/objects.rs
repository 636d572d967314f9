//! Behaviours, group A, numbers 1 to 6: the methods, arguments, and who a process is. Each for every start method.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use mpm::{Pool, Process, StartMethod, worker};
use mpm_tests::{Gate, process_gone, report, wait_at, wait_until};
use serde::{Deserialize, Serialize};

use crate::methods::{Program, add, pool, process};

conform! {
    a01_method_matrix,
    a02_explicit_choice_leaves_the_default_alone,
    a03_default_is_set_once,
    a04_arguments_survive,
    a05_daemon_flag,
    a05_daemons_end_with_the_program_and_others_are_waited_for,
    a06_identity,
}

#[worker]
fn own_method() -> Option<StartMethod> {
    mpm::current_process().start_method()
}

fn a01_method_matrix(method: StartMethod) {
    assert_eq!(mpm::current_process().start_method(), None);
    let started = process(method, own_method::job()).start().unwrap();
    assert_eq!(started.start_method(), method);
    assert_eq!(started.wait().unwrap(), Some(method));
    assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
    for workers in [1, 2, 4] {
        let pool = pool(method, workers);
        for n in 0..20 {
            assert_eq!(pool.run(own_method::job()).unwrap(), Some(method));
            assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1);
        }
        assert_eq!(pool.start_method(), method);
    }
}

/// What is the default here, and whether it could still be set.
#[worker]
fn default_method() -> (StartMethod, bool) {
    (mpm::start_method().unwrap(), mpm::set_start_method(StartMethod::Spawn).is_ok())
}

fn a02_explicit_choice_leaves_the_default_alone(method: StartMethod) {
    let unset = (StartMethod::ForkServer, true);
    assert_eq!(process(method, default_method::job()).start().unwrap().wait().unwrap(), unset);
    assert_eq!(pool(method, 1).run(default_method::job()).unwrap(), unset);
    assert_eq!(mpm::start_method().unwrap(), StartMethod::ForkServer);
    assert!(mpm::set_start_method(method).is_ok(), "nobody has set it before");
}

/// The method of a process that names none.
#[worker]
fn method_of_a_grandchild() -> Result<StartMethod, String> {
    let started = Process::builder(own_method::job()).start().map_err(|e| e.to_string())?;
    Ok(started.wait().unwrap().unwrap())
}

fn a03_default_is_set_once(method: StartMethod) {
    assert_eq!(StartMethod::ALL[0], StartMethod::default());
    assert_eq!(method.name().parse::<StartMethod>().unwrap(), method);
    for unknown in ["", "teleport", "Spawn", "fork "] {
        assert!(unknown.parse::<StartMethod>().unwrap_err().is_setting(), "{unknown:?}");
    }

    // By the environment, which nothing that was set stands before yet.
    let with = |value: &str| process(method, method_of_a_grandchild::job()).env("MPM_START_METHOD", value).start().unwrap();
    assert_eq!(with(method.name()).wait().unwrap(), Ok(method));
    assert_eq!(with("").wait().unwrap(), Ok(StartMethod::ForkServer));
    let refused = with("teleport").wait().unwrap().unwrap_err();
    assert!(refused.contains("MPM_START_METHOD") && refused.contains("teleport"), "{refused}");

    mpm::set_start_method(method).unwrap();
    let error = mpm::set_start_method(StartMethod::Spawn).unwrap_err();
    assert!(error.is_setting() && error.to_string().contains(method.name()), "{error}");
    assert_eq!(mpm::start_method().unwrap(), method);
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(pool.start_method(), method);
    assert_eq!(pool.run(own_method::job()).unwrap(), Some(method));
    assert_eq!(Process::builder(own_method::job()).start().unwrap().wait().unwrap(), Some(method));
    assert_eq!(pool.run(method_of_a_grandchild::job()).unwrap(), Ok(method), "a worker has the default of its parent");

    let other = if method == StartMethod::Spawn { StartMethod::ForkServer } else { StartMethod::Spawn };
    mpm::force_start_method(other);
    assert_eq!(mpm::start_method().unwrap(), other);
    assert_eq!(pool.start_method(), method, "a pool that was built before keeps its method");
    assert_eq!(Process::builder(own_method::job()).start().unwrap().wait().unwrap(), Some(other));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    number: i64,
    name: String,
    lines: Vec<(u8, Option<String>)>,
    notes: BTreeMap<String, Vec<f64>>,
}

#[worker]
fn tell(order: Order, pair: (char, bool), text: &str, bytes: &[u8], path: &Path, nothing: ()) -> (Order, String) {
    (order, format!("{pair:?} {text:?} {bytes:?} {path:?} {nothing:?}"))
}

#[worker]
fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

/// Named arguments are those of the target's function: their order is checked where the job is made.
fn a04_arguments_survive(method: StartMethod) {
    let order = Order {
        number: i64::MIN,
        name: "naïve ∞ \0 \n".to_owned(),
        lines: vec![(1, None), (255, Some(String::new()))],
        notes: BTreeMap::from([("pi".to_owned(), vec![3.25, -0.0, f64::INFINITY]), (String::new(), vec![])]),
    };
    let path = PathBuf::from("/no such/folder");
    let job = || tell::job(order.clone(), ('ß', true), "text", b"\0\xff", &path, ());
    let told = (order.clone(), "('ß', true) \"text\" [0, 255] \"/no such/folder\" ()".to_owned());
    assert_eq!(process(method, job()).start().unwrap().wait().unwrap(), told);
    let pool = pool(method, 2);
    assert_eq!(pool.run(job()).unwrap(), told);
    // Empty, in the message, and too large for it.
    for len in [0, 1, 16_384, 16_385, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        assert!(process(method, reverse::job(bytes.clone())).start().unwrap().wait().unwrap() == reversed, "{len} bytes");
        assert!(pool.run(reverse::job(bytes)).unwrap() == reversed, "{len} bytes");
    }
}

/// Whether this process is a daemon, and whether the one is that it starts.
#[worker]
fn daemons(method: StartMethod, flag: Option<bool>) -> (bool, bool) {
    let me = mpm::current_process().is_daemon();
    let builder = process(method, own_flag::job());
    let started = flag.into_iter().fold(builder, |builder, flag| builder.daemon(flag)).start().unwrap();
    let told = started.is_daemon();
    assert_eq!(started.wait().unwrap(), told, "both sides say the same");
    (me, told)
}

#[worker]
fn own_flag() -> bool {
    mpm::current_process().is_daemon()
}

fn a05_daemon_flag(method: StartMethod) {
    assert!(!mpm::current_process().is_daemon());
    for outer in [None, Some(false), Some(true)] {
        for inner in [None, Some(false), Some(true)] {
            let builder = process(method, daemons::job(method, inner));
            let started = outer.into_iter().fold(builder, |builder, flag| builder.daemon(flag)).start().unwrap();
            let flag = outer.unwrap_or(false);
            assert_eq!(started.is_daemon(), flag);
            assert_eq!(started.wait().unwrap(), (flag, inner.unwrap_or(flag)), "{outer:?} {inner:?}");
        }
    }
    assert_eq!(pool(method, 1).run(daemons::job(method, None)).unwrap(), (true, true), "a worker is a daemon");
}

#[worker]
fn pass_and_write(gate: &str, file: &Path) {
    wait_at(gate);
    fs::write(file, "written").unwrap();
}

/// A daemon that would never end, and another process that ends when the gate opens; what `main` does then is return.
fn a05_daemons_end_with_the_program_and_others_are_waited_for(method: StartMethod) {
    let mut program = Program::start("", |folder, _| {
        let endless = process(method, park::job()).daemon(true).start().unwrap();
        let (gate, file) = (folder.join("gate"), folder.join("written"));
        let slow = process(method, pass_and_write::job(gate.to_str().unwrap(), &file)).start().unwrap();
        report(folder, &format!("{} {}", endless.pid(), slow.pid()));
        wait_until("the gate is there", || gate.exists());
    });
    let gate = Gate::new(program.folder.path(), "gate");
    let report = program.doomed.wait_report();
    let pids: Vec<u32> = report.split(' ').map(|pid| pid.parse().unwrap()).collect();
    gate.wait_for(1);
    assert!(!process_gone(program.doomed.pid()), "it waits for the one that is no daemon");
    gate.open();
    assert!(program.doomed.wait().success(), "{}", program.doomed.output());
    assert!(program.folder.path().join("written").exists());
    wait_until("both are gone", || pids.iter().all(|pid| process_gone(*pid)));
}

/// Never returns.
#[worker]
fn park() {
    loop {
        thread::park();
    }
}

/// Name and number of this process and of its parent.
#[worker]
fn names() -> [(String, u32); 2] {
    let (me, parent) = (mpm::current_process(), mpm::parent_process().unwrap());
    assert!(parent.is_alive() && me.pid() == std::process::id());
    [(me.name().to_owned(), me.pid()), (parent.name().to_owned(), parent.pid())]
}

/// This process, its child, and how that child calls its parent.
#[worker]
fn names_below(method: StartMethod) -> (u32, [(String, u32); 2]) {
    let started = process(method, names::job()).name("grandchild").start().unwrap();
    (std::process::id(), started.wait().unwrap())
}

fn a06_identity(method: StartMethod) {
    assert!(mpm::parent_process().is_none());
    let me = ("main".to_owned(), std::process::id());
    assert_eq!((mpm::current_process().name(), mpm::current_process().pid()), ("main", me.1));

    let started = process(method, names::job()).name("child one").start().unwrap();
    let (name, pid) = (started.name().to_owned(), started.pid());
    assert_eq!(name, "child one");
    assert_eq!(started.wait().unwrap(), [(name, pid), me.clone()]);
    let unnamed = [(); 2].map(|()| process(method, names::job()).start().unwrap());
    assert_ne!(unnamed[0].name(), unnamed[1].name());

    let started = process(method, names_below::job(method)).name("child two").start().unwrap();
    let pid = started.pid();
    let (below, [grandchild, parent]) = started.wait().unwrap();
    assert_eq!((below, grandchild.0.as_str(), parent), (pid, "grandchild", ("child two".to_owned(), pid)));

    let pool = Pool::builder().name("thumbs").workers(1).start(method).build().unwrap();
    let [(worker, pid), parent] = pool.run(names::job()).unwrap();
    assert_eq!((worker.as_str(), parent), ("thumbs-0", me), "the parent is the one that built the pool, not a template");
    assert_ne!(pid, std::process::id());
}
