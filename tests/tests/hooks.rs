//! Jobs that run in each worker before and after the pool's, and the events that tell of a pool's workers: for each start method.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;

#[path = "hooks/events.rs"]
mod events;
#[path = "hooks/failing.rs"]
mod failing;
#[path = "hooks/first_and_last.rs"]
mod first_and_last;

use std::time::Duration;

use mpm::{Builder, Event, Pool, StartMethod, worker};
use mpm_tests::{Log, wait_at};

/// The settings of a pool by this method, whose workers may take as long as a loaded machine takes.
fn patient(method: StartMethod, workers: usize) -> Builder {
    Pool::builder().workers(workers).start(method).grace(Duration::from_secs(3600))
}

/// The same, with a list of its events.
fn listening(method: StartMethod, workers: usize) -> (Builder, Log<Event>) {
    let log = Log::default();
    let events = log.clone();
    (patient(method, workers).on_event(move |event| events.add(event.clone())), log)
}

#[worker]
fn double(n: u64) -> u64 {
    2 * n
}

#[worker]
fn pid() -> u32 {
    std::process::id()
}

/// Waits at a gate and says which process it was.
#[worker]
fn pass(gate: &str) -> u32 {
    wait_at(gate);
    std::process::id()
}

/// Ends its process.
#[worker]
fn exit(code: i32) {
    std::process::exit(code);
}
