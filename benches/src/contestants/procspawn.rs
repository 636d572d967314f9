//! procspawn: closures without captures, sent over a channel to a pool of processes.

use std::collections::VecDeque;
use std::time::Duration;

use procspawn::{JoinHandle, Pool};
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use super::measure::Contestant;
use crate::work;

pub(super) struct Procspawn(Pool);

impl Procspawn {
    pub(super) fn new(workers: usize) -> Self {
        Self(Pool::new(workers).expect("a pool"))
    }

    /// All results in order. Each of its jobs holds descriptors until it is joined, so no more than a window can be out.
    fn all<'a, R: Serialize + DeserializeOwned + 'a>(
        jobs: u32,
        submit: impl Fn(u32) -> JoinHandle<R> + 'a,
    ) -> impl Iterator<Item = Option<R>> + 'a {
        const WINDOW: u32 = 200;
        let mut window: VecDeque<JoinHandle<R>> = (0..jobs.min(WINDOW)).map(&submit).collect();
        let mut next = jobs.min(WINDOW);
        std::iter::from_fn(move || {
            let result = window.pop_front()?.join().ok();
            if next < jobs {
                window.push_back(submit(next));
                next += 1;
            }
            Some(result)
        })
    }
}

impl Contestant for Procspawn {
    const ONE_BY_ONE: u32 = 20_000;

    fn add(&mut self, seed: u32) -> u32 {
        self.0.spawn(seed, work::add).join().expect("add")
    }

    fn echo(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.0.spawn(ByteBuf::from(bytes), |bytes| bytes).join().expect("echo").into_vec()
    }

    fn look_at(&mut self, bytes: &[u8]) -> u64 {
        self.0.spawn(ByteBuf::from(bytes), |bytes| work::look_at(&bytes)).join().expect("look")
    }

    fn one_by_one(&mut self, jobs: u32) -> u64 {
        Self::all(jobs, |seed| self.0.spawn(seed, work::add)).map(|sum| u64::from(sum.expect("add"))).sum()
    }

    fn burn(&mut self, jobs: u32, steps: u64) -> Vec<u64> {
        let submit = |seed| self.0.spawn((seed, steps), |(seed, steps)| work::burn(seed, steps));
        Self::all(jobs, submit).map(|result| result.expect("burn")).collect()
    }

    fn burn_here(&mut self, jobs: u32, steps: u64) -> impl Iterator<Item = Option<u32>> {
        Self::all(jobs, move |seed| {
            self.0.spawn((seed, steps), |(seed, steps)| {
                std::hint::black_box(work::burn(seed, steps));
                std::process::id()
            })
        })
    }

    fn pids(&mut self) -> Vec<u32> {
        let submit = |_| {
            self.0.spawn((), |()| {
                std::thread::sleep(Duration::from_millis(50));
                std::process::id()
            })
        };
        Self::all(8, submit).map(|pid| pid.expect("a pid")).collect()
    }

    fn process_per_job(&mut self, jobs: u32) {
        let begin = |seed| procspawn::spawn(seed, work::add);
        let mut out = VecDeque::from([begin(0), begin(1)]);
        for seed in 2..jobs + 2 {
            assert_eq!(out.pop_front().expect("two are out").join().expect("add"), work::add(seed - 2));
            if seed < jobs {
                out.push_back(begin(seed));
            }
        }
    }

    fn one_process(&mut self, jobs: u32) {
        (0..jobs).for_each(|seed| assert_eq!(procspawn::spawn(seed, work::add).join().expect("add"), work::add(seed)));
    }
}
