//! Behaviours, group H: cancellation, for each start method.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "behaviours_h/ends.rs"]
mod ends;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "behaviours/jobs.rs"]
mod jobs;
#[path = "behaviours_h/queued.rs"]
mod queued;
#[path = "behaviours_h/races.rs"]
mod races;
#[path = "behaviours_h/running.rs"]
mod running;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;

use std::path::Path;

use mpm::worker;
use mpm_tests::{arrive_at, block_signal, wait_at};

/// Comes to the gate, which says that it runs, and never ends by itself; a stubborn one heeds no SIGTERM.
#[worker]
fn arrive_and_spin(gate: &str, stubborn: bool) {
    if stubborn {
        block_signal(libc::SIGTERM);
    }
    arrive_at(gate);
    while std::hint::black_box(true) {
        std::hint::spin_loop();
    }
}

/// As `arrive_and_spin`, and ends at a checkpoint.
#[worker]
fn arrive_and_check(gate: &str) {
    arrive_at(gate);
    loop {
        mpm::current().checkpoint();
    }
}

/// As `arrive_and_spin`, but returns what it was asked.
#[worker]
fn arrive_and_return(gate: &str) -> bool {
    arrive_at(gate);
    while !mpm::current().is_cancelled() {
        std::hint::spin_loop();
    }
    true
}

/// Leaves a mark that it has run, and waits at the gate if it is given one.
#[worker]
fn mark(folder: &Path, number: u32, gate: &str) -> u32 {
    std::fs::write(folder.join(number.to_string()), "").unwrap();
    if !gate.is_empty() {
        wait_at(gate);
    }
    number
}

/// The numbers of the jobs that have run, in order.
fn marks(folder: &Path) -> Vec<u32> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut all: Vec<u32> = names.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    all.sort_unstable();
    all
}
