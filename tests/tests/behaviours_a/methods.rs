//! What the tests of group A have in common: programs besides their own, pools and processes of a start method, targets.

use std::path::Path;
use std::{env, fs, thread};

use mpm::{Pool, Process, ProcessBuilder, StartMethod, Target, worker};
use mpm_tests::{Doomed, doomed, wait_at};
use tempfile::TempDir;

/// A program besides the test's own, which the test looks at from outside.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) doomed: Doomed,
    pub(crate) folder: TempDir,
}

impl Program {
    /// Starts one that does `body`, with the folder in which both meet and with `argument`, and then exits with code 0. What else
    /// `body` captures is made anew there.
    pub(crate) fn start(argument: &str, body: impl FnOnce(&Path, &str)) -> Self {
        let thread = thread::current();
        // libtest names its threads after their tests.
        let test = thread.name().expect("the name of the test");
        let body = |folder: &Path| body(folder, &fs::read_to_string(folder.join("argument")).expect("the argument"));
        // The program itself is told the folder, and makes none.
        let folder = env::var_os("MPM_DOOMED").is_none().then(|| TempDir::new().expect("a folder"));
        if let Some(folder) = &folder {
            fs::write(folder.path().join("argument"), argument).expect("the argument in its place");
        }
        let doomed = doomed(test, folder.as_ref().map_or(Path::new(""), |folder| folder.path()), body);
        Self { doomed, folder: folder.expect("only the test comes here") }
    }
}

/// A pool with so many workers of this method.
pub(crate) fn pool(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start(method).build().expect("a pool")
}

/// The settings of a process that is started by this method.
pub(crate) fn process<'a, F: Target>(method: StartMethod, job: mpm::Job<'a, F>) -> ProcessBuilder<'a, F> {
    Process::builder(job).start_method(method)
}

#[worker]
pub(crate) fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// Waits at a gate and says which process it was.
#[worker]
pub(crate) fn pass(gate: &str) -> u32 {
    wait_at(gate);
    std::process::id()
}
