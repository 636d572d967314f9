//! Behaviours 156 to 158: the parent ends in whichever way, and nothing that belonged to it is left.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process;
use std::thread;

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{Doomed, Gate, children_of, doomed, kill, process_gone, report, templates_of, try_kill, wait_at, wait_until};
use tempfile::TempDir;

use crate::jobs;
use crate::pools::{build, double, pass, pid, pool_of, state_of};
use crate::started::{read_pids, starts_others_and_waits};

conform!(
    k156_parent_sigkill,
    k156_parent_sigkill_while_its_workers_are_stopped,
    k156_parent_sigkill_with_a_job_that_has_closed_every_descriptor,
    k156_parent_aborts,
    k157_parent_dies_while_its_workers_start,
    k157_parent_already_dead_when_the_child_arms_its_death_watch,
    k158_parent_stopped_by_sigint,
);

/// This test's parent, which is to be ended.
fn doomed_parent(test: &str, folder: &TempDir, method: StartMethod) -> Doomed {
    doomed(&format!("orphans::{test}::{method}"), folder.path(), |folder| parent_of_many(folder, method))
}

/// A parent with an idle worker, a busy one, one that waits for nothing but spins, processes that jobs started, and a nested pool; it
/// reports all their ids and waits for its end.
fn parent_of_many(folder: &Path, method: StartMethod) {
    let pool = pool_of(4, method);
    let gate = Gate::new(folder, "gate");
    let path = gate.path();
    let file = folder.join("pids");
    let waits = pool.submit(starts_others_and_waits::job(&path, file.to_str().unwrap())).unwrap();
    let spins = pool.submit(spins::job(&path)).unwrap();
    let nested = pool.submit(nested_wait::job(&path, folder.join("nested").to_str().unwrap())).unwrap();
    gate.wait_for(3);
    let idle = pool.run(pid::job()).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mut others = [children_of(process::id()), templates_of(process::id())].concat();
    // Below a template, another one is not told from other children.
    let inner = children_of(process::id()).into_iter().flat_map(|worker| [children_of(worker), templates_of(worker)].concat());
    others.extend(inner);
    let others = others.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
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
    let inner = jobs::pool_of(1);
    fs::write(file, format!("{} {}", process::id(), inner.run(pid::job()).unwrap())).unwrap();
    inner.run(pass::job(gate)).unwrap();
}

/// Ends the parent and sees that everything that belonged to it is gone.
#[track_caller]
fn end_of(process: &mut Doomed, method: StartMethod, end: impl FnOnce(&Doomed)) -> process::ExitStatus {
    let pids: BTreeSet<u32> = read_pids(&process.wait_report()).into_iter().collect();
    // Four workers, three processes that a job has started, an inner worker and its template; and that of the workers.
    assert_eq!(pids.len(), if method == StartMethod::Spawn { 9 } else { 10 }, "{pids:?}");
    assert!(!pids.iter().any(|pid| process_gone(*pid)), "{pids:?}\n{}", process.output());
    end(process);
    let status = process.wait();
    wait_until("everything is gone", || pids.iter().all(|pid| process_gone(*pid)));
    status
}

fn k156_parent_sigkill(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed_parent("k156_parent_sigkill", &folder, method);
    assert_eq!(end_of(&mut process, method, |process| process.kill(libc::SIGKILL)).signal(), Some(libc::SIGKILL));
}

fn k156_parent_sigkill_while_its_workers_are_stopped(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed_parent("k156_parent_sigkill_while_its_workers_are_stopped", &folder, method);
    let status = end_of(&mut process, method, |process| {
        [children_of(process.pid()), templates_of(process.pid())].concat().iter().for_each(|pid| kill(*pid, libc::SIGSTOP));
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

fn k156_parent_sigkill_with_a_job_that_has_closed_every_descriptor(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let name = format!("orphans::k156_parent_sigkill_with_a_job_that_has_closed_every_descriptor::{method}");
    let mut process = doomed(&name, folder.path(), |folder| {
        let pool = pool_of(1, method);
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

fn k156_parent_aborts(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed_parent("k156_parent_aborts", &folder, method);
    assert_eq!(end_of(&mut process, method, |process| process.kill(libc::SIGABRT)).signal(), Some(libc::SIGABRT));
}

fn k158_parent_stopped_by_sigint(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let mut process = doomed_parent("k158_parent_stopped_by_sigint", &folder, method);
    assert_eq!(end_of(&mut process, method, |process| process.kill(libc::SIGINT)).signal(), Some(libc::SIGINT));
}

fn k157_parent_dies_while_its_workers_start(method: StartMethod) {
    for _ in 0..20 {
        let folder = TempDir::new().unwrap();
        let name = format!("orphans::k157_parent_dies_while_its_workers_start::{method}");
        let mut process = doomed(&name, folder.path(), |folder| {
            let pool = pool_of(8, method);
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

/// A worker stops before it has tied its life to anything, and goes on when its parent is gone.
fn k157_parent_already_dead_when_the_child_arms_its_death_watch(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    // What is written there asks for a stop instead of a kill.
    fs::write(folder.path().join("latch"), "stop").unwrap();
    let name = format!("orphans::k157_parent_already_dead_when_the_child_arms_its_death_watch::{method}");
    let mut process = doomed(&name, folder.path(), |folder| {
        let fault = format!("started:{}", folder.join("latch").display());
        let pool = build(Pool::builder().workers(1).env("MPM_FAULT", fault), method);
        report(folder, "started");
        drop(pool.run(double::job(1)));
    });
    process.wait_report();
    let mut stopped = None;
    wait_until("a worker has stopped", || {
        stopped = children_of(process.pid()).into_iter().find(|pid| state_of(*pid) == Some('T'));
        stopped.is_some()
    });
    let worker = EndsWithTest(stopped.unwrap());
    process.kill(libc::SIGKILL);
    process.wait();
    // Its template may have ended it by now.
    try_kill(worker.0, libc::SIGCONT);
    wait_until("the worker is gone", || process_gone(worker.0));
    assert!(!process.output().contains("panicked"), "{}", process.output());
}
