//! Behaviours, group A, numbers 24 to 27: when a pool can be made, and how large it is. Each for every start method.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{
    Gate, Leaks, children_of, close_descriptors_from, deny, keep_to_one_cpu, kill, lead_session, pretend_control_group,
    process_gone, report, templates_of, wait_until,
};
use tempfile::TempDir;

use crate::methods::{Program, add, pass, pool, process};
use crate::promised;

conform! {
    a24_fork_with_live_threads,
    a25_invalid_sizes,
    a25_two_hundred_workers,
    a26_sandbox,
    a26_sandbox_without_sessions,
    a27_cpu_count_by_affinity,
    a27_cpu_count_by_control_group,
    a27_cpu_count_by_environment,
}

/// Runs `body` while a thread of this name lives.
fn beside_a_thread(name: &str, body: impl FnOnce()) {
    let (started, is_started) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let sing = move || {
        started.send(()).unwrap();
        stopped.recv().unwrap_err();
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(sing).unwrap();
    is_started.recv().unwrap();
    body();
    drop(stop);
    thread.join().unwrap();
}

fn a24_fork_with_live_threads(method: StartMethod) {
    let builder = || Pool::builder().workers(2).start(method);
    let mut program = Program::start("", |folder, _| {
        beside_a_thread("singer", || {
            if method == StartMethod::Fork {
                let refusals = [
                    builder().build().map(drop).unwrap_err(),
                    process(method, add::job(1, 2)).start().map(drop).unwrap_err(),
                    mpm::isolate(|| 1).map(drop).unwrap_err(),
                ];
                for error in refusals {
                    let text = error.to_string();
                    assert!(error.is_setting() && text.contains("1 other thread (singer)"), "{text}");
                }
                assert!(mpm::active_processes().is_empty() && children_of(std::process::id()).is_empty());
            } else {
                assert_eq!(builder().build().unwrap().run(add::job(1, 2)).unwrap(), 3);
                assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
            }
            // Whoever promises that the threads do not matter is believed.
            let (mut promised_pool, job) = (promised::build(builder()).unwrap(), add::job(1, 2));
            assert_eq!(promised_pool.run(job).unwrap(), 3);
            promised_pool = promised::build(builder().max_jobs(1)).unwrap();
            assert!((0..6).all(|n| promised_pool.run(add::job(n, 1)).unwrap() == n + 1));
            assert_eq!(promised::start(process(method, add::job(1, 2))).unwrap().wait().unwrap(), 3);
            assert_eq!(promised::isolate(|| 4).unwrap(), 4);
        });
        assert_eq!(builder().build().unwrap().run(add::job(1, 2)).unwrap(), 3);
        assert_eq!(process(method, add::job(1, 2)).start().unwrap().wait().unwrap(), 3);
        assert_eq!(mpm::isolate(|| 4).unwrap(), 4);
        report(folder, "done");
    });
    assert_eq!(program.doomed.wait_report(), "done");
    assert!(program.doomed.wait().success());
    // Nothing but what libtest prints before a test.
    let output = program.doomed.output();
    assert!(output.trim_end().ends_with("...") && output.trim().lines().count() <= 2, "{output}");
}

fn a25_invalid_sizes(method: StartMethod) {
    let builder = || Pool::builder().start(method);
    for builder in [builder().workers(0), builder().workers(4097), builder().workers(usize::MAX), builder().queue(0)] {
        let error = builder.build().unwrap_err();
        assert!(error.is_setting(), "{error}");
    }
    assert!(builder().workers(0).build().unwrap_err().to_string().contains("workers(0)"));
    let me = std::process::id();
    assert!(children_of(me).is_empty(), "nothing has been started");
}

fn a25_two_hundred_workers(method: StartMethod) {
    assert_eq!(pool(method, 1).run(add::job(1, 2)).unwrap(), 3);
    // A template that was forked goes with its pool; another one stays.
    let me = std::process::id();
    wait_until("the template is gone", || method != StartMethod::Fork || templates_of(me).is_empty());
    let leaks = Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool(method, 200);
    let jobs: Vec<_> = (0..200).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    gate.wait_for(200);
    gate.open();
    let pids: BTreeSet<u32> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
    assert_eq!(pids.len(), 200);
    pool.join();
    drop((pool, gate, folder));
    leaks.check();
    assert!(children_of(me).is_empty());
}

/// Where the system denies a call, pools work without it or tell why they cannot.
fn a26_sandbox(method: StartMethod) {
    let table = [
        ("sched_getaffinity", libc::SYS_sched_getaffinity, true),
        ("prctl", libc::SYS_prctl, true),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal, true),
        ("getrandom", libc::SYS_getrandom, true),
        ("setsid", libc::SYS_setsid, false),
        ("pidfd_open", libc::SYS_pidfd_open, false),
        ("memfd_create", libc::SYS_memfd_create, false),
        ("eventfd2", libc::SYS_eventfd2, false),
        ("epoll_create1", libc::SYS_epoll_create1, false),
        ("pipe2", libc::SYS_pipe2, false),
        ("socketpair", libc::SYS_socketpair, false),
        ("wait4", libc::SYS_wait4, false),
    ];
    for (name, _, works) in table {
        let mut program = Program::start(name, |folder, name| {
            let (_, number, _) = table.iter().find(|(known, ..)| *known == name).unwrap();
            deny(*number);
            let ran = Pool::builder().start(method).build().and_then(|pool| Ok(pool.run(add::job(1, 2))?));
            let started = process(method, add::job(3, 4)).start().and_then(|process| process.wait());
            let text = |result: mpm::Result<u64>| result.map_or_else(|error| error.to_string(), |sum| sum.to_string());
            report(folder, &format!("{}\n---\n{}", text(ran), text(started)));
        });
        let text = program.doomed.wait_report();
        assert!(program.doomed.wait().success(), "{name}: {}", program.doomed.output());
        let (of_pool, of_process) = text.split_once("\n---\n").unwrap();
        for (text, sum) in [(of_pool, "3"), (of_process, "7")] {
            assert!(text == sum || !works && text.contains("Operation not permitted"), "{name}: {text}");
        }
    }
}

/// Says that it is there, and never returns. With nothing but a signal to tell it of its parent's end, it has closed its lifeline.
#[worker]
fn park(folder: &str, tie: &str) {
    if tie == "signal" {
        close_descriptors_from(3);
    }
    fs::write(Path::new(folder).join("parked"), "").unwrap();
    loop {
        thread::park();
    }
}

/// A child that cannot leave the group of its parent ends with the parent, and lets others in that group live.
fn a26_sandbox_without_sessions(method: StartMethod) {
    for tie in ["lifeline", "signal"] {
        let mut program = Program::start(tie, |folder, tie| {
            // This test's own group is not the one to be put at risk.
            lead_session();
            deny(libc::SYS_setsid);
            let mut neighbour = Command::new("sleep").arg("1000").spawn().unwrap();
            match process(method, park::job(folder.to_str().unwrap(), tie)).start() {
                Ok(parked) => {
                    wait_until("it is parked", || folder.join("parked").exists());
                    report(folder, &format!("{} {}", neighbour.id(), parked.pid()));
                    let _ = parked.join();
                }
                Err(error) => {
                    neighbour.kill().unwrap();
                    neighbour.wait().unwrap();
                    report(folder, &error.to_string());
                }
            }
        });
        let text = program.doomed.wait_report();
        if method != StartMethod::Fork {
            assert!(text.contains("Operation not permitted"), "{text}");
            continue;
        }
        let [neighbour, parked] = text.split(' ').map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>().try_into().unwrap();
        program.doomed.kill(libc::SIGKILL);
        program.doomed.wait();
        wait_until("the child is gone", || process_gone(parked));
        assert!(!process_gone(neighbour), "{tie}: it was none of the child's business");
        kill(neighbour, libc::SIGKILL);
    }
}

/// How many workers a pool has, which says that it has so many.
fn count(pool: &Pool) -> usize {
    let text = format!("{pool:?}");
    let said: usize = text.split([' ', ')']).find_map(|word| word.parse().ok()).unwrap();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    // Each worker has one of these jobs, and there is none without.
    let jobs: Vec<_> = (0..said).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
    gate.wait_for(said as u64);
    gate.open();
    let pids: BTreeSet<_> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
    assert_eq!(pids.len(), said);
    said
}

fn a27_cpu_count_by_affinity(method: StartMethod) {
    keep_to_one_cpu();
    let pool = Pool::builder().start(method).build().unwrap();
    assert_eq!(count(&pool), 1);
    assert_eq!(children_of(std::process::id()).len(), 1);
}

/// What a control group says: a name for it, the text of `/proc/self/cgroup`, files below `/sys/fs/cgroup`, and whether that means
/// one CPU.
type Group = (&'static str, &'static str, &'static [(&'static str, &'static str)], bool);

const GROUPS: [Group; 10] = [
    ("2 one", "0::/g\n", &[("g/cgroup.controllers", "cpu"), ("g/cpu.max", "100000 100000\n")], true),
    ("2 part", "0::/g\n", &[("g/cgroup.controllers", "cpu"), ("g/cpu.max", "1000 100000\n")], true),
    ("2 above", "0::/g/h\n", &[("g/h/cgroup.controllers", "cpu"), ("g/cpu.max", "100000 100000\n")], true),
    ("2 none", "0::/g\n", &[("g/cgroup.controllers", "cpu"), ("g/cpu.max", "max 100000\n")], false),
    ("2 garbage", "0::/g\n", &[("g/cgroup.controllers", "cpu"), ("g/cpu.max", "many\n")], false),
    ("2 zero", "0::/g\n", &[("g/cgroup.controllers", "cpu"), ("g/cpu.max", "100000 0\n")], false),
    ("1 one", "1:cpu:/g\n", &[("cpu/g/cpu.cfs_quota_us", "100000\n"), ("cpu/g/cpu.cfs_period_us", "100000\n")], true),
    ("1 none", "1:cpu:/g\n", &[("cpu/g/cpu.cfs_quota_us", "-1\n"), ("cpu/g/cpu.cfs_period_us", "100000\n")], false),
    ("1 garbage", "1:cpu:/g\n", &[("cpu/g/cpu.cfs_quota_us", "lots\n"), ("cpu/g/cpu.cfs_period_us", "\0\n")], false),
    ("no group", "garbage\n", &[], false),
];

/// Only root can show a process another control group; elsewhere this says so and checks nothing.
fn a27_cpu_count_by_control_group(method: StartMethod) {
    let cpus = thread::available_parallelism().unwrap().get();
    for (name, group, files, is_one) in GROUPS {
        let mut program = Program::start(name, |folder, name| {
            let (_, group, files, _) = GROUPS.into_iter().find(|(known, ..)| *known == name).unwrap();
            fs::write(folder.join("group"), group).unwrap();
            for (file, text) in files.iter().chain(&[("cpu/g/cgroup.procs", "")]) {
                let file = folder.join("files").join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            let text = if pretend_control_group(&folder.join("group"), &folder.join("files")) {
                count(&Pool::builder().start(method).build().unwrap()).to_string()
            } else {
                "not permitted".to_owned()
            };
            report(folder, &text);
        });
        let text = program.doomed.wait_report();
        assert!(program.doomed.wait().success());
        if text == "not permitted" {
            println!("only root can pretend to be in another control group: {group:?} {files:?} were not checked");
            return;
        }
        assert_eq!(text, if is_one { 1 } else { cpus }.to_string(), "{name}");
    }
}

/// How many workers a pool has in this process.
#[worker]
fn count_workers(method: StartMethod, chosen: Option<usize>) -> Result<usize, String> {
    let builder = Pool::builder().start(method);
    let builder = chosen.into_iter().fold(builder, |builder, chosen| builder.workers(chosen));
    Ok(count(&builder.build().map_err(|e| e.to_string())?))
}

fn a27_cpu_count_by_environment(method: StartMethod) {
    let run = |value: &OsStr, chosen| {
        process(method, count_workers::job(method, chosen)).env("MPM_WORKERS", value).start().unwrap().wait().unwrap()
    };
    let with = |value: &str| run(OsStr::new(value), None);
    for number in [1, 3, 7] {
        assert_eq!(with(&number.to_string()), Ok(number));
    }
    let cpus = thread::available_parallelism().unwrap().get();
    assert_eq!(with(""), Ok(cpus), "as if it were not set");
    for bad in ["0", "-1", "two", "2.5", " 2", "2 ", "4097", "99999999999999999999999"] {
        let error = with(bad).unwrap_err();
        assert!(error.contains("MPM_WORKERS") && error.contains(bad), "{error}");
    }
    assert!(run(OsStr::from_bytes(b"2\xff"), None).unwrap_err().contains("MPM_WORKERS"));
    assert_eq!(run(OsStr::new("two"), Some(2)), Ok(2), "it is asked only where nobody says");
}
