//! Jobs that mistreat their process, or start processes and pools of their own, in every start method.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use mpm::{HowItEnded, JobError, Pool, Process, StartMethod, worker};
use mpm_tests::{Gate, alone, children_of, kill, process_gone, templates_of, wait_at, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pid, pool_of, state_of};

#[worker]
fn floods_stderr(lines: u32) -> u32 {
    (0..lines).for_each(|n| eprintln!("line {n} {}", "x".repeat(100)));
    lines
}

#[worker]
fn closes_all() -> u32 {
    mpm_tests::close_descriptors_from(3);
    process::id()
}

/// Whether it could leave its session or group.
#[worker]
fn leaves_its_group() -> bool {
    mpm_tests::join_the_parents_group().is_none()
}

#[worker]
fn stops_itself() {
    mpm_tests::raise(libc::SIGSTOP);
}

#[worker]
fn forks_twice(file: &Path) {
    if mpm_tests::fork_and_return() {
        if mpm_tests::fork_and_return() {
            fs::write(file, process::id().to_string()).unwrap();
            loop {
                thread::park();
            }
        }
        process::exit(0);
    }
    wait_until("the grandchild is there", || fs::read_to_string(file).is_ok_and(|text| !text.is_empty()));
}

#[mpm::test]
fn jobs_that_mistreat_their_process() {
    alone("hostile::jobs_that_mistreat_their_process", || {
        for method in StartMethod::ALL {
            let pool = pool_of(2, method);
            let floods: Vec<_> = (0..4).map(|_| pool.submit(floods_stderr::job(2000)).unwrap()).collect();
            floods.into_iter().for_each(|job| assert_eq!(job.wait().unwrap(), 2000));
            assert!(!pool.run(leaves_its_group::job()).unwrap(), "{method}");
            // Its answer does not need a descriptor, but for the bell.
            match pool.run(closes_all::job()) {
                Ok(_) | Err(JobError::Died(_)) => {}
                Err(error) => panic!("{method}: {error}"),
            }
            assert!((0..20).all(|n| pool.run(double::job(n)).unwrap() == 2 * n), "{method}");
            let folder = TempDir::new().unwrap();
            let file = folder.path().join("pid");
            pool.run(forks_twice::job(&file)).unwrap();
            let left: u32 = fs::read_to_string(&file).unwrap().parse().unwrap();
            drop(pool);
            wait_until("what it left in its group is gone", || process_gone(left));
            wait_until("no worker is left", || children_of(process::id()).is_empty());
        }
    });
}

#[mpm::test]
fn a_job_that_stops_itself() {
    alone("hostile::a_job_that_stops_itself", || {
        for method in StartMethod::ALL {
            let pool = build(Pool::builder().workers(1).unresponsive(Duration::MAX), method);
            let job = pool.submit(stops_itself::job()).unwrap();
            wait_until("it runs", || job.report().pid.is_some());
            let worker = job.report().pid.unwrap();
            wait_until("it is stopped", || state_of(worker) == Some('T'));
            kill(worker, libc::SIGCONT);
            job.wait().unwrap();
            // And one that nobody wakes.
            let job = pool.submit(stops_itself::job()).unwrap();
            wait_until("it is stopped", || state_of(worker) == Some('T'));
            pool.kill();
            assert!(matches!(job.wait(), Err(JobError::Cancelled(_))), "{method}");
            drop(pool);
            assert!(process_gone(worker), "{method}");
        }
    });
}

/// A tree of pools and processes, `depth` levels deep; each level writes down who it is.
#[worker]
fn tree(depth: u32, method: &str, gate: &str, folder: &Path) -> u32 {
    fs::write(folder.join(process::id().to_string()), depth.to_string()).unwrap();
    if depth == 0 {
        wait_at(gate);
        return 1;
    }
    let method: StartMethod = method.parse().unwrap();
    let pool = Pool::builder().workers(1).start(method).build().unwrap();
    let below = pool.submit(tree::job(depth - 1, method.name(), gate, folder)).unwrap();
    let process = Process::builder(tree::job(depth - 1, method.name(), gate, folder));
    // A pool has threads: only what is not a copy can be started beside it by name.
    let process = process.start_method(if method == StartMethod::Fork { StartMethod::Spawn } else { method }).start().unwrap();
    below.wait().unwrap() + process.wait().unwrap()
}

/// Who has come so far.
fn members(folder: &Path) -> BTreeSet<u32> {
    fs::read_dir(folder).unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[mpm::test]
fn trees_that_end_by_themselves() {
    alone("hostile::trees_that_end_by_themselves", || {
        for method in StartMethod::ALL {
            let (folder, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
            let gate = Gate::new(place.path(), "gate");
            let path = gate.path();
            let pool = pool_of(1, method);
            let job = pool.submit(tree::job(3, method.name(), &path, folder.path())).unwrap();
            gate.wait_for(8);
            gate.open();
            assert_eq!(job.wait().unwrap(), 8, "{method}");
            drop(pool);
            wait_until("the whole tree is gone", || members(folder.path()).iter().all(|pid| process_gone(*pid)));
        }
    });
}

#[mpm::test]
fn trees_that_are_killed_in_the_middle() {
    alone("hostile::trees_that_are_killed_in_the_middle", || {
        for (method, round) in StartMethod::ALL.into_iter().flat_map(|method| [0, 1, 2, 3].map(|round| (method, round))) {
            let (folder, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
            let gate = Gate::new(place.path(), "gate");
            let path = gate.path();
            let pool = pool_of(1, method);
            let job = pool.submit(tree::job(3, method.name(), &path, folder.path())).unwrap();
            // Complete, or while it grows.
            gate.wait_for(if round % 2 == 0 { 8 } else { 1 });
            let root = job.report().pid.unwrap();
            if round < 2 {
                kill(root, libc::SIGKILL)
            } else {
                pool.kill()
            }
            assert!(job.wait().is_err());
            wait_until("the whole tree is gone", || members(folder.path()).iter().all(|pid| process_gone(*pid)));
            drop(pool);
        }
    });
}

#[worker]
fn seed() -> (u64, u32, Option<String>, String, String) {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(1);
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let number = stat.split(' ').next().unwrap().parse().unwrap();
    let arguments = fs::read("/proc/self/cmdline").unwrap();
    let first = arguments.split(|byte| *byte == 0).next().unwrap();
    let comm = fs::read_to_string("/proc/thread-self/comm").unwrap();
    let name = thread::current().name().map(str::to_owned);
    (hash, number, name, String::from_utf8_lossy(first).into_owned(), comm.trim().to_owned())
}

#[worker]
fn uses_hash_maps() {
    let map: std::collections::HashMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
    assert_eq!(map.len(), 100);
}

/// Workers of one template draw their own random numbers, and are who they say.
#[mpm::test]
fn workers_are_no_twins() {
    alone("hostile::workers_are_no_twins", || {
        for method in StartMethod::ALL {
            let builder = Pool::builder().name("twins").workers(2).max_jobs(1);
            let pool = build(builder.preload(uses_hash_maps::job()), method);
            let mut hashes = BTreeSet::new();
            for _ in 0..12 {
                let job = pool.submit(seed::job()).unwrap();
                mpm::wait_all(std::slice::from_ref(&job));
                let pid = job.report().pid.unwrap();
                let (hash, number, _, first, comm) = job.wait().unwrap();
                assert_eq!(number, pid);
                assert!(comm.starts_with("twins-"), "{method}: {comm}");
                // A copy of this process has its command line.
                assert!(first.contains("[twins-") || method == StartMethod::Fork, "{method}: {first}");
                hashes.insert(hash);
            }
            assert_eq!(hashes.len(), 12, "{method}: workers draw the same numbers");
            assert_eq!(templates_of(process::id()).len(), usize::from(method != StartMethod::Spawn));
        }
    });
}

/// How a worker by each method ended is told alike.
#[mpm::test]
fn ends_are_told_alike() {
    alone("hostile::ends_are_told_alike", || {
        for method in StartMethod::ALL {
            let pool = pool_of(1, method);
            let mut max_rss = 0;
            for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGABRT, libc::SIGUSR1] {
                let Err(JobError::Died(death)) = pool.run(crate::pools::dies::job(signal)) else { panic!("{method}: no death") };
                assert!(matches!(&death.how, HowItEnded::Signal { number, .. } if *number == signal), "{method}: {death}");
                max_rss = max_rss.max(death.max_rss);
            }
            // A template that stalls for a second does not tell it.
            assert!(max_rss > 0, "{method}");
            let Err(JobError::Died(death)) = pool.run(exits::job(7)) else { panic!("{method}: no death") };
            assert!(matches!(death.how, HowItEnded::Exited(7)), "{method}: {death}");
            assert!(pool.run(pid::job()).is_ok());
        }
    });
}

#[worker]
fn exits(code: i32) {
    process::exit(code);
}
