//! mpm.

use std::time::Duration;

use mpm::{JobHandle, Pool, Process, StartMethod, worker};

use super::measure::Contestant;
use crate::work;

#[worker]
fn add(seed: u32) -> u32 {
    work::add(seed)
}

#[worker]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[worker]
fn look_at(bytes: &[u8]) -> u64 {
    work::look_at(bytes)
}

#[worker]
fn burn(seed: u32, steps: u64) -> u64 {
    work::burn(seed, steps)
}

/// Burns, and tells which worker did it.
#[worker]
fn burn_here(seed: u32, steps: u64) -> u32 {
    std::hint::black_box(work::burn(seed, steps));
    std::process::id()
}

/// Long enough that the other worker gets the next one.
#[worker]
fn pid() -> u32 {
    std::thread::sleep(Duration::from_millis(50));
    std::process::id()
}

pub(super) struct Mpm {
    pool: Pool,
    method: StartMethod,
}

impl Mpm {
    pub(super) fn new(workers: usize, measure: &str, method: StartMethod) -> Self {
        let builder = Pool::builder().workers(workers).start(method).queue(1 << 18);
        let builder = if measure == "process-per-job" { builder.max_jobs(1) } else { builder };
        Self { pool: builder.build().expect("a pool"), method }
    }

    /// Submits all, then waits for all in order.
    fn all<'a, R>(jobs: u32, submit: impl Fn(u32) -> JobHandle<R> + 'a) -> impl Iterator<Item = Option<R>> + 'a
    where
        R: 'a,
    {
        let handles: Vec<_> = (0..jobs).map(submit).collect();
        handles.into_iter().map(|handle| handle.wait().ok())
    }
}

impl Contestant for Mpm {
    fn add(&mut self, seed: u32) -> u32 {
        self.pool.run(add::job(seed)).expect("add")
    }

    fn echo(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.pool.run(echo::job(bytes)).expect("echo")
    }

    fn look_at(&mut self, bytes: &[u8]) -> u64 {
        self.pool.run(look_at::job(bytes)).expect("look")
    }

    fn one_by_one(&mut self, jobs: u32) -> u64 {
        let sums = Self::all(jobs, |seed| self.pool.submit(add::job(seed)).expect("submit"));
        sums.map(|sum| u64::from(sum.expect("add"))).sum()
    }

    fn map(&mut self, jobs: u32) -> u64 {
        self.pool.map::<add>(0..jobs).map(|sum| u64::from(sum.expect("add"))).sum()
    }

    fn burn(&mut self, jobs: u32, steps: u64) -> Vec<u64> {
        Self::all(jobs, |seed| self.pool.submit(burn::job(seed, steps)).expect("submit")).map(|x| x.expect("burn")).collect()
    }

    fn burn_here(&mut self, jobs: u32, steps: u64) -> impl Iterator<Item = Option<u32>> {
        Self::all(jobs, move |seed| self.pool.submit(burn_here::job(seed, steps)).expect("submit"))
    }

    fn pids(&mut self) -> Vec<u32> {
        self.pool.map::<pid>((0..8).map(|_| ())).map(|pid| pid.expect("a pid")).collect()
    }

    fn process_per_job(&mut self, jobs: u32) {
        self.one_by_one(jobs);
    }

    fn one_process(&mut self, jobs: u32) {
        for seed in 0..jobs {
            let process = Process::builder(add::job(seed)).start_method(self.method).start().expect("a process");
            assert_eq!(process.wait().expect("add"), work::add(seed));
        }
    }
}
