//! Behaviours, group K: pools in workers, orphans, signals, and what a worker inherits.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::OnceLock;
use std::thread;

use jobs::{double, pass, pid, pool_of, worker_counts};
use mpm::{JobError, Pool, worker};
use mpm_tests::{
    AlarmStorm, Doomed, Gate, alone, block_signal, children_of, doomed, kill, process_gone, report, try_kill, wait_at, wait_until,
    watchdog,
};
use tempfile::TempDir;

/// A job with a pool of its own, this many levels deep.
#[worker]
fn deep(depth: u32) -> u32 {
    if depth == 0 { 0 } else { pool_of(1).run(deep::job(depth - 1)).unwrap() + 1 }
}

#[mpm::test]
fn k153_a_pool_inside_a_worker() {
    let _guard = watchdog();
    let pool = pool_of(2);
    for depth in 0..=3 {
        assert_eq!(pool.run(deep::job(depth)).unwrap(), depth);
    }
}

#[worker]
fn uses_a_static_pool(n: u64) -> (u64, u32) {
    static INNER: OnceLock<Pool> = OnceLock::new();
    let inner = INNER.get_or_init(|| pool_of(2));
    (inner.run(double::job(n)).unwrap(), inner.run(pid::job()).unwrap())
}

#[mpm::test]
fn k155_outer_workers_still_own_pools_at_the_end() {
    let _guard = watchdog();
    for workers in worker_counts() {
        for end in [Pool::join, Pool::kill, |_: &Pool| {}] {
            let pool = pool_of(workers);
            let mut inner = BTreeSet::new();
            for (n, outcome) in pool.map::<uses_a_static_pool>(0..8).enumerate() {
                let (value, worker) = outcome.unwrap();
                assert_eq!(value, 2 * n as u64);
                inner.insert(worker);
            }
            end(&pool);
            drop(pool);
            wait_until("no inner worker is left", || inner.iter().all(|worker| process_gone(*worker)));
        }
    }
}

#[expect(clippy::zombie_processes, reason = "a job that leaves its children behind is what is tested")]
/// Starts a process that lives long and returns its id; another one starts its child from a shell.
#[worker]
fn starts_others() -> Vec<u32> {
    let sleep = Command::new("sleep").arg("1000").spawn().unwrap();
    let shell = Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
    let mut all = vec![process::id(), sleep.id(), shell.id()];
    wait_until("the shell has its child", || children_of(shell.id()).len() == 1);
    all.extend(children_of(shell.id()));
    all
}

#[worker]
fn starts_others_and_waits(gate: &str, file: &str) {
    let all: Vec<_> = starts_others().iter().map(u32::to_string).collect();
    fs::write(file, all.join(" ")).unwrap();
    wait_at(gate);
}

#[mpm::test]
fn k156_what_a_job_started_is_gone_with_the_pool() {
    let _guard = watchdog();
    for end in [Pool::join, Pool::kill, |_: &Pool| {}] {
        let pool = pool_of(1);
        let all = pool.run(starts_others::job()).unwrap();
        assert_eq!(all.len(), 4);
        assert!(!all.iter().any(|pid| process_gone(*pid)));
        end(&pool);
        drop(pool);
        wait_until("they are gone", || all.iter().all(|pid| process_gone(*pid)));
    }
}

#[mpm::test]
fn k156_what_a_job_started_is_gone_with_its_worker() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let (gate, file) = (Gate::new(folder.path(), "gate"), folder.path().join("pids"));
    let path = gate.path();
    let pool = pool_of(1);
    let job = pool.submit(starts_others_and_waits::job(&path, file.to_str().unwrap())).unwrap();
    gate.wait_for(1);
    let all = read_pids(&fs::read_to_string(file).unwrap());
    kill(all[0], libc::SIGKILL);
    assert!(job.wait().unwrap_err().is_died());
    wait_until("they are gone", || all.iter().all(|pid| process_gone(*pid)));
    assert!(pool.run(pid::job()).is_ok());
}

fn read_pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// A parent with an idle worker, a busy one, one that waits for nothing but spins, processes that jobs started, and a nested pool; it
/// reports all their ids and waits for its end.
fn parent_of_many(folder: &Path) {
    let pool = pool_of(4);
    let gate = Gate::new(folder, "gate");
    let path = gate.path();
    let file = folder.join("pids");
    let waits = pool.submit(starts_others_and_waits::job(&path, file.to_str().unwrap())).unwrap();
    let spins = pool.submit(spins::job(&path)).unwrap();
    let nested = pool.submit(nested_wait::job(&path, folder.join("nested").to_str().unwrap())).unwrap();
    gate.wait_for(3);
    let idle = pool.run(pid::job()).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let others = children_of(process::id()).iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    report(folder, &format!("{idle} {} {} {others}", read("pids"), read("nested")));
    for job in [waits, spins, nested] {
        drop(job.wait());
    }
}

#[worker]
fn spins(gate: &str) {
    // Says that it is there, and does not wait.
    thread::spawn({
        let gate = gate.to_owned();
        move || wait_at(&gate)
    });
    loop {
        std::hint::spin_loop();
    }
}

#[worker]
fn nested_wait(gate: &str, file: &str) {
    let inner = pool_of(1);
    fs::write(file, format!("{} {}", process::id(), inner.run(pid::job()).unwrap())).unwrap();
    inner.run(pass::job(gate)).unwrap();
}

/// Ends the parent and sees that everything that belonged to it is gone.
#[track_caller]
fn end_of(process: &mut Doomed, end: impl FnOnce(&Doomed)) -> process::ExitStatus {
    let pids: BTreeSet<u32> = read_pids(&process.wait_report()).into_iter().collect();
    assert_eq!(pids.len(), 8, "{pids:?}");
    assert!(!pids.iter().any(|pid| process_gone(*pid)), "{pids:?}\n{}", process.output());
    end(process);
    let status = process.wait();
    wait_until("everything is gone", || pids.iter().all(|pid| process_gone(*pid)));
    status
}

#[mpm::test]
fn k156_parent_sigkill() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("k156_parent_sigkill", folder.path(), parent_of_many);
    assert_eq!(end_of(&mut process, |process| process.kill(libc::SIGKILL)).signal(), Some(libc::SIGKILL));
}

#[mpm::test]
fn k156_parent_sigkill_while_its_workers_are_stopped() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("k156_parent_sigkill_while_its_workers_are_stopped", folder.path(), parent_of_many);
    let status = end_of(&mut process, |process| {
        children_of(process.pid()).iter().for_each(|pid| kill(*pid, libc::SIGSTOP));
        process.kill(libc::SIGKILL);
    });
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

#[worker]
fn cuts_its_lifeline() {
    mpm_tests::close_descriptors_from(3);
    loop {
        thread::park();
    }
}

/// Ends a process that a failing test would leave behind for ever.
struct EndsWithTest(u32);

impl Drop for EndsWithTest {
    fn drop(&mut self) {
        try_kill(self.0, libc::SIGKILL);
    }
}

#[mpm::test]
fn k156_parent_sigkill_with_a_job_that_has_closed_every_descriptor() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let name = "k156_parent_sigkill_with_a_job_that_has_closed_every_descriptor";
    let mut process = doomed(name, folder.path(), |folder| {
        let pool = pool_of(1);
        let job = pool.submit(cuts_its_lifeline::job()).unwrap();
        wait_until("the job runs", || job.report().pid.is_some());
        let worker = job.report().pid.unwrap();
        let descriptors = || fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
        wait_until("only the standard streams are left", || descriptors() == 3);
        report(folder, &worker.to_string());
        drop(job.wait());
    });
    let worker = EndsWithTest(process.wait_report().parse().unwrap());
    process.kill(libc::SIGKILL);
    process.wait();
    wait_until("the worker is gone", || process_gone(worker.0));
}

#[mpm::test]
fn k156_parent_aborts() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("k156_parent_aborts", folder.path(), parent_of_many);
    assert_eq!(end_of(&mut process, |process| process.kill(libc::SIGABRT)).signal(), Some(libc::SIGABRT));
}

#[mpm::test]
fn k158_parent_stopped_by_sigint() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("k158_parent_stopped_by_sigint", folder.path(), parent_of_many);
    assert_eq!(end_of(&mut process, |process| process.kill(libc::SIGINT)).signal(), Some(libc::SIGINT));
}

#[mpm::test]
fn k158_workers_leave_sigint_to_the_parent() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let pool = pool_of(1);
    let job = pool.submit(pass::job(&path)).unwrap();
    gate.wait_for(1);
    let worker = job.report().pid.unwrap();
    (0..3).for_each(|_| kill(worker, libc::SIGINT));
    gate.open();
    assert_eq!(job.wait().unwrap(), worker);
}

#[mpm::test]
fn k157_parent_dies_while_its_workers_start() {
    let _guard = watchdog();
    for _ in 0..20 {
        let folder = TempDir::new().unwrap();
        let name = "k157_parent_dies_while_its_workers_start";
        let mut process = doomed(name, folder.path(), |folder| {
            let pool = pool_of(8);
            wait_until("there is a child", || !children_of(process::id()).is_empty());
            report(folder, "started");
            drop(pool.submit(double::job(1)).map(mpm::JobHandle::wait));
            loop {
                thread::park();
            }
        });
        process.wait_report();
        let workers = children_of(process.pid());
        process.kill(libc::SIGKILL);
        process.wait();
        wait_until("no worker is left", || workers.iter().all(|pid| process_gone(*pid)));
        // Nor one that this test has not seen: they all have the folder in their environment.
        let mark = folder.path().as_os_str().as_encoded_bytes();
        wait_until("no process of that parent is left", || {
            fs::read_dir("/proc").unwrap().flatten().all(|entry| {
                let own = entry.file_name() == OsStr::new(&process::id().to_string());
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                own || !environment.windows(mark.len()).any(|window| window == mark)
            })
        });
    }
}

#[mpm::test]
fn k159_a_storm_of_interrupts() {
    alone("k159_a_storm_of_interrupts", || {
        let bytes = vec![5_u8; 3_000_000];
        let storm = AlarmStorm::every_micros(200);
        for workers in worker_counts() {
            let pool = Pool::builder().workers(workers).queue(4).build().unwrap();
            for (n, value) in pool.map::<double>(0..2000).enumerate() {
                assert_eq!(value.unwrap(), 2 * n as u64);
            }
            assert!(pool.map::<length>([bytes.as_slice(); 20]).all(|outcome| outcome.is_ok_and(|length| length == 3_000_000)));
            for _ in 0..5 {
                assert!(matches!(pool.run(jobs::die::job(jobs::Way::Exit(4))), Err(JobError::Died(_))));
            }
            let jobs: Vec<_> = (0..20).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            assert!(!mpm::wait_all_timeout(&jobs, std::time::Duration::ZERO) || jobs.iter().all(mpm::JobHandle::is_finished));
            mpm::wait_all(&jobs);
            pool.join();
        }
        let alarms = storm.count();
        drop(storm);
        assert!(alarms > 100, "{alarms} alarms only");
    });
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

/// The sets of blocked and ignored signals of the calling thread.
#[worker]
fn signals() -> (u64, u64) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    (set("SigBlk:"), set("SigIgn:"))
}

#[mpm::test]
fn k160_signal_masks() {
    let _guard = watchdog();
    thread::spawn(|| {
        block_signal(libc::SIGUSR2);
        let before = signals();
        assert_eq!(before.0, 1 << (libc::SIGUSR2 - 1));
        let pool = pool_of(2);
        let (blocked, ignored) = pool.run(signals::job()).unwrap();
        assert_eq!(signals(), before, "the caller's own");
        assert_eq!(blocked, 0, "a worker blocks nothing");
        assert_ne!(ignored & (1 << (libc::SIGINT - 1)), 0, "and leaves Ctrl-C to the parent");
        drop(pool);
        assert_eq!(signals(), before);
    })
    .join()
    .unwrap();
}

#[worker]
fn reads_stdin() -> (usize, bool, String) {
    let mut text = String::new();
    let count = std::io::stdin().read_to_string(&mut text).unwrap();
    let child = Command::new("cat").output().unwrap();
    (count, child.status.success() && child.stdout.is_empty(), fs::read_link("/proc/self/fd/0").unwrap().display().to_string())
}

#[mpm::test]
fn k161_the_stdin_of_a_worker() {
    let _guard = watchdog();
    assert_eq!(pool_of(1).run(reads_stdin::job()).unwrap(), (0, true, "/dev/null".to_owned()));
}

#[mpm::test]
fn k157_inner_workers_whose_parent_is_gone_before_they_are_ready_end_quietly() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let name = "k157_inner_workers_whose_parent_is_gone_before_they_are_ready_end_quietly";
    let mut process = doomed(name, folder.path(), |folder| {
        // The workers of the inner pools are still starting when the outer ones end.
        for n in 0..20 {
            let pool = pool_of(2);
            assert_eq!(pool.run(uses_a_static_pool::job(n)).unwrap().0, 2 * n);
            pool.join();
        }
        report(folder, "");
    });
    assert!(process.wait().success(), "{}", process.output());
    assert!(!process.output().contains("FAILED"), "{}", process.output());
}
