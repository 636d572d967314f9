//! Threads of this process: rayon's pool with a crossbeam channel for the results.

use std::hint::black_box;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::measure::Contestant;
use crate::work;

pub(super) struct Threads {
    pool: ThreadPool,
    sums: (Sender<u32>, Receiver<u32>),
    bytes: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
}

impl Threads {
    pub(super) fn new(threads: usize) -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        Self { pool, sums: unbounded(), bytes: unbounded() }
    }

    fn submit(&self, seed: u32) {
        let tell = self.sums.0.clone();
        self.pool.spawn(move || tell.send(work::add(black_box(seed))).expect("somebody listens"));
    }
}

impl Contestant for Threads {
    fn add(&mut self, seed: u32) -> u32 {
        self.submit(seed);
        self.sums.1.recv().expect("a result")
    }

    /// One copy, by the thread: a result of its own.
    fn echo(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let tell = self.bytes.0.clone();
        self.pool.spawn(move || tell.send(bytes.clone()).expect("somebody listens"));
        self.bytes.1.recv().expect("a result")
    }

    /// One copy, by the caller, since a thread of a pool cannot borrow.
    fn look_at(&mut self, bytes: &[u8]) -> u64 {
        let (tell, told) = unbounded();
        let bytes = bytes.to_vec();
        self.pool.spawn(move || tell.send(work::look_at(&bytes)).expect("somebody listens"));
        told.recv().expect("a result")
    }

    fn one_by_one(&mut self, jobs: u32) -> u64 {
        (0..jobs).for_each(|seed| self.submit(seed));
        self.sums.1.iter().take(jobs as usize).map(u64::from).sum()
    }

    fn map(&mut self, jobs: u32) -> u64 {
        let sums: Vec<u32> = self.pool.install(|| (0..jobs).into_par_iter().map(|seed| work::add(black_box(seed))).collect());
        sums.into_iter().map(u64::from).sum()
    }

    fn burn(&mut self, jobs: u32, steps: u64) -> Vec<u64> {
        let (tell, told) = unbounded();
        for seed in 0..jobs {
            let tell = tell.clone();
            self.pool.spawn(move || tell.send((seed, work::burn(seed, steps))).expect("somebody listens"));
        }
        let mut results = vec![0; jobs as usize];
        told.iter().take(jobs as usize).for_each(|(seed, result)| results[seed as usize] = result);
        results
    }

    fn process_per_job(&mut self, jobs: u32) {
        for pair in 0..jobs / 2 {
            let started = [0, 1].map(|i| thread::spawn(move || work::add(black_box(2 * pair + i))));
            started.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
        }
    }

    fn one_process(&mut self, jobs: u32) {
        for seed in 0..jobs {
            assert_eq!(thread::spawn(move || work::add(black_box(seed))).join().expect("add"), work::add(seed));
        }
    }
}
