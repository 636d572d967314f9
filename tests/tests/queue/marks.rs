//! Jobs that leave a mark when they start, and what the marks say.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use mpm::{Builder, JobHandle, Pool, StartMethod, worker};
use mpm_tests::wait_at;
use tempfile::TempDir;

/// Makes its mark, waits at the gate if it is told one, and says which process it was.
#[worker]
pub(crate) fn mark(marks: &Path, number: u32, gate: &str) -> u32 {
    make_mark(marks, number);
    if !gate.is_empty() {
        wait_at(gate);
    }
    std::process::id()
}

/// As `mark`: another target.
#[worker]
pub(crate) fn limited(marks: &Path, number: u32, gate: &str) -> u32 {
    make_mark(marks, number);
    if !gate.is_empty() {
        wait_at(gate);
    }
    std::process::id()
}

#[worker]
pub(crate) fn pid() -> u32 {
    std::process::id()
}

/// One small write to a file opened for appending is one line, whoever writes beside.
fn make_mark(marks: &Path, number: u32) {
    let mut file = OpenOptions::new().append(true).create(true).open(marks).unwrap();
    file.write_all(format!("{number}\n").as_bytes()).unwrap();
}

/// The numbers of the jobs that have started, in this order.
pub(crate) fn started(marks: &Path) -> Vec<u32> {
    fs::read_to_string(marks).unwrap_or_default().lines().map(|line| line.parse().unwrap()).collect()
}

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let marks = folder.path().join("marks");
    (folder, marks)
}

/// How workers end and come differs between these.
pub(crate) const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

pub(crate) fn pool(workers: usize) -> Builder {
    Pool::builder().name("q").workers(workers)
}

/// Has run so many short jobs that more of them are handed out ahead of time.
pub(crate) fn warm(pool: &Pool) {
    for _ in 0..200 {
        pool.run(pid::job()).unwrap();
    }
}

/// Waits for jobs that shall all return.
pub(crate) fn end_well(jobs: impl IntoIterator<Item = JobHandle<u32>>) {
    for job in jobs {
        job.wait().unwrap();
    }
}

/// The processes of all workers, which are there then.
pub(crate) fn everyone(pool: &Pool) -> Vec<u32> {
    pool.broadcast(pid::job()).unwrap().wait().into_iter().map(|(_, pid)| pid.unwrap()).collect()
}
