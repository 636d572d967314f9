//! A pool that is busy, and the two sides of a test that goes on step by step.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mpm::{JobError, JobHandle, Pool, StartMethod};
use mpm_tests::{Doomed, Gate, report, wait_until};

use crate::pools::{build, pass, pid};

/// A pool of one worker that is busy at a gate, with two jobs that wait.
pub(crate) struct Busy {
    pub(crate) pool: Pool,
    pub(crate) gate: Gate,
    pub(crate) jobs: Vec<JobHandle<u32>>,
}

impl Busy {
    pub(crate) fn new(method: StartMethod, folder: &Path, name: &str, grace: Duration) -> Self {
        let pool = build(Pool::builder().name(name).workers(1).grace(grace), method);
        let gate = Gate::new(folder, name);
        let path = gate.path();
        let jobs: Vec<_> = (0..3).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(1);
        Self { pool, gate, jobs }
    }

    /// Waits until the pool takes no more jobs.
    pub(crate) fn wait_closed(&self) {
        wait_until("the pool takes no more jobs", || self.pool.try_submit(pid::job()).is_err_and(|refused| refused.is_closed()));
    }

    /// How its jobs ended: v for a value, c for cancelled.
    pub(crate) fn outcomes(self) -> String {
        let letter = |job: JobHandle<u32>| match job.wait() {
            Ok(_) => 'v',
            Err(JobError::Cancelled(_)) => 'c',
            Err(other) => panic!("{other}"),
        };
        self.jobs.into_iter().map(letter).collect()
    }
}

/// Says to the test that this program has come so far, and waits until the test has done what it does then.
pub(crate) fn meet(folder: &Path, text: &str) {
    report(folder, text);
    wait_until("the test goes on", || folder.join("go").exists());
    fs::remove_file(folder.join("go")).unwrap();
}

/// The test's side of [`meet`].
pub(crate) fn let_go(process: &mut Doomed, folder: &Path, act: impl FnOnce(&Doomed)) -> String {
    let text = process.wait_report();
    fs::remove_file(folder.join("ready")).unwrap();
    act(process);
    fs::write(folder.join("go"), "").unwrap();
    text
}
