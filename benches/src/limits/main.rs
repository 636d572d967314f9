//! What no pool can beat: the same work between two or three processes with nothing but the system's calls. No crate, no
//! protocol, no care for what goes wrong.
//!
//! `limits WAY MEASURE` prints figures as `work.rs` says them.

mod rings;
mod starts;
mod sys;
mod turns;
#[path = "../work.rs"]
mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each of two processes takes every other job.
fn static_split(jobs: u32, steps: u64) -> Vec<u64> {
    let at: *mut AtomicU64 = sys::shared(jobs as usize * 8).cast();
    // SAFETY: zeroed memory of this size, page-aligned, which stays.
    let results: &'static [AtomicU64] = unsafe { std::slice::from_raw_parts(at, jobs as usize) };
    let workers = [0, 1].map(|first| {
        sys::copy(|| {
            (first..jobs).step_by(2).for_each(|seed| results[seed as usize].store(work::burn(seed, steps), Ordering::Relaxed));
            0
        })
    });
    for worker in workers {
        sys::reap(worker);
    }
    results.iter().map(|result| result.load(Ordering::Relaxed)).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, way, measure] = &arguments[..] else { panic!("usage: limits WAY MEASURE") };
    let spin = Duration::from_micros(20);
    match (way.as_str(), measure.as_str()) {
        ("serve", fd) => starts::serve(fd.parse().expect("a descriptor")),
        ("serve-burning", fd) => starts::serve_burning(fd.parse().expect("a descriptor")),
        ("sleep", _) => turns::measure(measure, Duration::ZERO),
        ("spin", _) => turns::measure(measure, spin),
        ("copies", "echo-1") => turns::echo(work::MIB, spin),
        ("copies", "echo-16") => turns::echo(16 * work::MIB, spin),
        ("copies", "borrowed-1") => turns::borrowed(work::MIB, spin),
        ("copies", "borrowed-16") => turns::borrowed(16 * work::MIB, spin),
        ("batch-1", _) => rings::measure(measure, 1),
        ("batch-64", _) => rings::measure(measure, 64),
        ("split", "cpu") => work::efficiency(static_split),
        ("fork", _) => starts::measure(measure, true),
        ("exec", _) => starts::measure(measure, false),
        other => panic!("no way {other:?}"),
    }
}
