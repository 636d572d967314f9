//! First figures: mpm beside procspawn and an in-process thread pool, on the same work, interleaved in one run.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml [ROUNDS [NAME]]` prints, for each measure, the median over
//! the rounds (7 by default) with the smallest and largest, and the ratio to the thread pool; with NAME, only contestants
//! whose name has it. With `start` before ROUNDS, it measures what starts of processes cost instead (see `start.rs`).

mod start;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use mpm::{Pool, worker};
use serde_bytes::ByteBuf;

const ROUND_TRIPS: usize = 20_000;
const JOBS: u32 = 100_000;
const ECHOES: usize = 50;
const MIB: usize = 1 << 20;

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[worker]
fn echo(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[worker]
fn add_seven(a: u32) -> u32 {
    a + 7
}

/// What all contestants must compute for `JOBS` jobs.
fn expected() -> u64 {
    (0..u64::from(JOBS)).map(|i| i + 7).sum()
}

/// One measured value: the measure, who, and the unit's number.
type Found = (&'static str, &'static str, f64);

/// A name, and what runs all its measures.
type Contestant = (&'static str, fn(&'static str) -> Vec<Found>);

/// Times `ROUND_TRIPS` calls one after the other: p50 and p99 in microseconds.
fn round_trips(who: &'static str, mut call: impl FnMut(u32) -> u32) -> Vec<Found> {
    for i in 0..1000 {
        call(i);
    }
    let mut times: Vec<Duration> = (0..ROUND_TRIPS as u32)
        .map(|i| {
            let start = Instant::now();
            assert_eq!(call(i), i + 7);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| times[(ROUND_TRIPS as f64 * share) as usize].as_secs_f64() * 1e6;
    vec![("round trip p50, µs", who, at(0.5)), ("round trip p99, µs", who, at(0.99))]
}

/// Times a whole batch of `JOBS`: thousands of jobs per second.
fn batch(measure: &'static str, who: &'static str, run: impl FnOnce() -> u64) -> Vec<Found> {
    let start = Instant::now();
    assert_eq!(run(), expected());
    vec![(measure, who, f64::from(JOBS) / start.elapsed().as_secs_f64() / 1e3)]
}

/// Times echoes of 1 MiB: megabytes per second, each counted once.
fn echoes(who: &'static str, mut call: impl FnMut(&[u8]) -> usize) -> Vec<Found> {
    let bytes = vec![5; MIB];
    call(&bytes);
    let start = Instant::now();
    for _ in 0..ECHOES {
        assert_eq!(call(&bytes), MIB);
    }
    vec![("1 MiB echo, MB/s", who, (ECHOES * MIB) as f64 / start.elapsed().as_secs_f64() / 1e6)]
}

fn by_mpm(who: &'static str) -> Vec<Found> {
    let one = Pool::builder().workers(1).build().expect("a pool of 1");
    let mut found = round_trips(who, |i| one.run(add::job(i, 7)).expect("add"));
    found.extend(echoes(who, |bytes| one.run(echo::job(bytes)).expect("echo").len()));
    drop(one);
    let two = Pool::builder().workers(2).queue(1 << 17).build().expect("a pool of 2");
    two.run(add::job(1, 2)).expect("warm up");
    found.extend(batch("one by one, 1000 jobs/s", who, || {
        let handles: Vec<_> = (0..JOBS).map(|i| two.submit(add::job(i, 7)).expect("submit")).collect();
        handles.into_iter().map(|handle| u64::from(handle.wait().expect("add"))).sum()
    }));
    found.extend(batch("map, 1000 jobs/s", who, || two.map::<add_seven>(0..JOBS).map(|sum| u64::from(sum.expect("add"))).sum()));
    found
}

fn by_procspawn(who: &'static str) -> Vec<Found> {
    let one = procspawn::Pool::new(1).expect("a pool of 1");
    let mut found = round_trips(who, |i| one.spawn((i, 7), |(a, b)| a + b).join().expect("add"));
    let copy = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
    found.extend(echoes(who, |bytes| one.spawn(copy(bytes), |bytes: ByteBuf| bytes).join().expect("echo").len()));
    drop(one);
    let two = procspawn::Pool::new(2).expect("a pool of 2");
    two.spawn((), |()| ()).join().expect("warm up");
    found.extend(batch("one by one, 1000 jobs/s", who, || {
        // Each of its jobs holds descriptors until it is joined, so no more than a window can be out.
        let mut window: VecDeque<procspawn::JoinHandle<u32>> = VecDeque::new();
        let mut sum = 0;
        for i in 0..JOBS {
            if window.len() == 256 {
                sum += window.pop_front().map_or(0, |handle| u64::from(handle.join().expect("add")));
            }
            window.push_back(two.spawn((i, 7), |(a, b)| a + b));
        }
        sum + window.into_iter().map(|handle| u64::from(handle.join().expect("add"))).sum::<u64>()
    }));
    found
}

fn by_threads(who: &'static str) -> Vec<Found> {
    use rayon::prelude::*;
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
    let one = threads(1);
    let (tell, told) = crossbeam_channel::unbounded();
    let mut found = round_trips(who, |i| {
        let tell = tell.clone();
        one.spawn(move || tell.send(std::hint::black_box(i) + 7).expect("send"));
        told.recv().expect("receive")
    });
    let (tell, told) = crossbeam_channel::unbounded();
    found.extend(echoes(who, |bytes| {
        let (tell, bytes) = (tell.clone(), bytes.to_vec());
        one.spawn(move || tell.send(bytes.clone()).expect("send"));
        told.recv().expect("receive").len()
    }));
    let two = threads(2);
    found.extend(batch("one by one, 1000 jobs/s", who, || {
        let (tell, told) = crossbeam_channel::unbounded();
        for i in 0..JOBS {
            let tell = tell.clone();
            two.spawn(move || tell.send(std::hint::black_box(i) + 7).expect("send"));
        }
        told.iter().take(JOBS as usize).map(u64::from).sum()
    }));
    found.extend(batch("map, 1000 jobs/s", who, || {
        two.install(|| {
            (0..JOBS).into_par_iter().map(|i| u64::from(std::hint::black_box(i) + 7)).collect::<Vec<_>>().into_iter().sum()
        })
    }));
    found
}

fn main() {
    mpm::init();
    procspawn::init();
    let mut arguments = std::env::args().skip(1).peekable();
    let starts = arguments.next_if(|first| first == "start" || first == "start-one");
    if starts.as_deref() == Some("start-one") {
        return start::one(&arguments.next().expect("a contestant"), &arguments.next().expect("cold or rest"));
    }
    let rounds: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(7);
    let only = arguments.next().unwrap_or_default();
    if starts.is_some() {
        return start::table(rounds, &only);
    }
    let mut contestants: Vec<Contestant> = vec![("mpm", by_mpm), ("procspawn 1.0", by_procspawn), ("threads: rayon", by_threads)];
    contestants.retain(|(who, _)| who.contains(&only));
    let mut table: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Each round begins with another, so that drift of the machine meets all alike.
        for turn in 0..contestants.len() {
            let (who, run) = contestants[(round + turn) % contestants.len()];
            for (measure, who, value) in run(who) {
                table.entry(measure).or_default().entry(who).or_default().push(value);
            }
        }
    }
    println!("| measure | who | median | smallest – largest | ratio to threads |\n|---|---|---|---|---|");
    for (measure, mut rows) in table {
        rows.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
        let median = |values: &[f64]| values[values.len() / 2];
        let threads = rows.get("threads: rayon").map_or(f64::NAN, |values| median(values));
        for (who, values) in &rows {
            let (low, high) = (values[0], values[values.len() - 1]);
            println!("| {measure} | {who} | {:.1} | {low:.1} – {high:.1} | {:.3} |", median(values), median(values) / threads);
        }
    }
}
