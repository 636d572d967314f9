//! Behaviour 156: what a job has started ends with its worker and with its pool.

use std::fs;
use std::process::{self, Command};

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{Gate, children_of, kill, process_gone, wait_at, wait_until};
use tempfile::TempDir;

use crate::pools::{pid, pool_of};

conform!(k156_what_a_job_started_is_gone_with_the_pool, k156_what_a_job_started_is_gone_with_its_worker);

#[expect(clippy::zombie_processes, reason = "a job that leaves its children behind is what is tested")]
/// Starts a process that lives long and returns its id; another one starts its child from a shell.
#[worker]
pub(crate) fn starts_others() -> Vec<u32> {
    let sleep = Command::new("sleep").arg("1000").spawn().unwrap();
    let shell = Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
    let mut all = vec![process::id(), sleep.id(), shell.id()];
    wait_until("the shell has its child", || children_of(shell.id()).len() == 1);
    all.extend(children_of(shell.id()));
    all
}

#[worker]
pub(crate) fn starts_others_and_waits(gate: &str, file: &str) {
    let all: Vec<_> = starts_others().iter().map(u32::to_string).collect();
    fs::write(file, all.join(" ")).unwrap();
    wait_at(gate);
}

fn k156_what_a_job_started_is_gone_with_the_pool(method: StartMethod) {
    for end in [Pool::join, Pool::kill, |_: &Pool| {}] {
        let pool = pool_of(1, method);
        let all = pool.run(starts_others::job()).unwrap();
        assert_eq!(all.len(), 4);
        assert!(!all.iter().any(|pid| process_gone(*pid)));
        end(&pool);
        drop(pool);
        wait_until("they are gone", || all.iter().all(|pid| process_gone(*pid)));
    }
}

fn k156_what_a_job_started_is_gone_with_its_worker(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let (gate, file) = (Gate::new(folder.path(), "gate"), folder.path().join("pids"));
    let path = gate.path();
    let pool = pool_of(1, method);
    let job = pool.submit(starts_others_and_waits::job(&path, file.to_str().unwrap())).unwrap();
    gate.wait_for(1);
    let all = read_pids(&fs::read_to_string(file).unwrap());
    kill(all[0], libc::SIGKILL);
    assert!(job.wait().unwrap_err().is_died());
    wait_until("they are gone", || all.iter().all(|pid| process_gone(*pid)));
    assert!(pool.run(pid::job()).is_ok());
}

pub(crate) fn read_pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}
