//! Pools and processes by every start method, and the targets that the tests of start methods use.

#![expect(unsafe_code, reason = "the watchdog's thread keeps this process from being forked without a promise")]

use std::fs;
use std::process;

use mpm::{Builder, Pool, Process, ProcessBuilder, StartMethod, Target, worker};
use mpm_tests::{process_gone, templates_of, wait_at, wait_until};

/// The methods whose workers come from a template.
pub(crate) const WITH_TEMPLATE: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Fork];

/// Builds a pool by this method.
pub(crate) fn build(builder: Builder, method: StartMethod) -> Pool {
    let builder = builder.start(method);
    let pool = match method {
        // SAFETY: the test runs alone in its process. Its other threads, the watchdog and libtest's main thread, sleep on a channel
        // and hold no lock.
        StartMethod::Fork => unsafe { builder.build_despite_threads() },
        _ => builder.build(),
    };
    pool.unwrap_or_else(|error| panic!("a pool by {method}: {error}"))
}

/// A pool by this method with so many workers.
pub(crate) fn pool_of(workers: usize, method: StartMethod) -> Pool {
    build(Pool::builder().workers(workers), method)
}

/// Starts a process by this method.
pub(crate) fn begin<F: Target>(builder: ProcessBuilder<'_, F>, method: StartMethod) -> mpm::Result<Process<F::Output>> {
    let builder = builder.start_method(method);
    match method {
        // SAFETY: as in `build`.
        StartMethod::Fork => unsafe { builder.start_despite_threads() },
        _ => builder.start(),
    }
}

/// Runs a closure in a copy of this process.
pub(crate) fn isolated<R: serde::Serialize + serde::de::DeserializeOwned>(run: impl FnOnce() -> R) -> mpm::Result<R> {
    // SAFETY: as in `build`.
    unsafe { mpm::isolate_despite_threads(run) }
}

/// A first pool by this method, after which the library has what it keeps for the whole process.
pub(crate) fn warm_up(method: StartMethod) {
    let pool = pool_of(1, method);
    pool.run(pid::job()).unwrap();
    let templates = templates_of(process::id());
    drop(pool);
    if method == StartMethod::Fork {
        // That of a copy goes with its pool, a moment later.
        wait_until("its template is gone", || templates.iter().any(|pid| process_gone(*pid)));
    }
}

/// The only template of this process.
#[track_caller]
pub(crate) fn template() -> u32 {
    match *templates_of(process::id()) {
        [pid] => pid,
        ref others => panic!("{} templates", others.len()),
    }
}

/// The state of a process, such as `S`, `T` or `Z`; `None` where there is none.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The process that has made this one, for a worker its template. By number the youngest template is not to be told from the others:
/// numbers begin anew now and then.
pub(crate) fn parent_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    behind_name.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[worker]
pub(crate) fn double(n: u64) -> u64 {
    2 * n
}

#[worker]
pub(crate) fn pid() -> u32 {
    process::id()
}

/// Waits at a gate and says which process it was.
#[worker]
pub(crate) fn pass(gate: &str) -> u32 {
    wait_at(gate);
    process::id()
}

/// Ends its process by a signal.
#[worker]
pub(crate) fn dies(signal: i32) {
    mpm_tests::raise(signal);
}
