//! How mpm's cost of a job changes with the number of workers and of waiting jobs, and what many idle workers cost. Each value
//! is found by a process of its own, so that none inherits another's memory; a column that is flat is what one wants to see.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use mpm::{JobHandle, Pool, worker};

use crate::print::short;
use crate::work;

#[worker]
fn plus_seven(seed: u32) -> u32 {
    work::add(seed)
}

/// What is measured over a row of sizes.
struct Row {
    key: &'static str,
    title: &'static str,
    sizes: &'static [u32],
    measure: fn(u32) -> f64,
}

const WORKERS: &[u32] = &[1, 2, 4, 8, 16, 32, 64];
const WAITING: &[u32] = &[1_000, 10_000, 100_000, 1_000_000];

const ROWS: &[Row] = &[
    Row { key: "one-by-one", title: "200,000 jobs one by one, by workers: ns a job", sizes: WORKERS, measure: one_by_one },
    Row { key: "round-trip", title: "round trip of `add`, by workers: p50, ns", sizes: WORKERS, measure: round_trip },
    Row { key: "windows", title: "the same, 64 at a time, by workers: ns a job", sizes: WORKERS, measure: windows },
    Row { key: "map", title: "1,000,000 jobs by `map`, by workers: ns a job", sizes: WORKERS, measure: map },
    Row { key: "submit", title: "submission, by waiting jobs (2 workers, stopped): ns a job", sizes: WAITING, measure: submit },
    Row { key: "drain", title: "collection, by waiting jobs (2 workers): ns a job", sizes: WAITING, measure: drain },
    Row { key: "bytes", title: "resident memory of the parent, by waiting jobs: bytes a job", sizes: WAITING, measure: bytes },
    Row { key: "idle", title: "context switches in 10 s of all threads of idle workers", sizes: &[2, 500], measure: idle },
];

fn pool(workers: u32) -> Pool {
    let pool = Pool::builder().workers(workers as usize).queue(1 << 20).build().expect("a pool");
    while descendants().len() <= workers as usize {
        std::thread::sleep(Duration::from_millis(1));
    }
    (0..1000).for_each(|seed| assert_eq!(pool.run(plus_seven::job(seed)).expect("a sum"), work::add(seed)));
    pool
}

/// All processes that come from this one: the template and the workers.
fn descendants() -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        line.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let names = fs::read_dir("/proc").expect("processes").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, u32)> = names.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![std::process::id()];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found.remove(0);
    found
}

fn submitted(pool: &Pool, jobs: &mut Vec<JobHandle<u32>>, count: u32) {
    jobs.extend((0..count).map(|seed| pool.submit(plus_seven::job(seed)).expect("submit")));
}

fn collected(jobs: &mut Vec<JobHandle<u32>>) {
    (0..).zip(jobs.drain(..)).for_each(|(seed, job)| assert_eq!(job.wait().expect("a sum"), work::add(seed)));
}

fn nanoseconds(time: Duration, jobs: u32) -> f64 {
    time.as_nanos() as f64 / f64::from(jobs)
}

fn one_by_one(workers: u32) -> f64 {
    let (pool, count) = (pool(workers), work::amount(work::ONE_BY_ONE));
    let mut jobs = Vec::with_capacity(count as usize);
    let mut batch = || {
        let start = Instant::now();
        submitted(&pool, &mut jobs, count);
        collected(&mut jobs);
        nanoseconds(start.elapsed(), count)
    };
    batch();
    work::median(&mut [batch(), batch(), batch()])
}

/// Batches that end before the next one begins, so that workers become idle again and again.
fn windows(workers: u32) -> f64 {
    let (pool, rounds) = (pool(workers), work::amount(work::ONE_BY_ONE) / 64);
    let mut jobs = Vec::with_capacity(64);
    let start = Instant::now();
    for _ in 0..rounds {
        submitted(&pool, &mut jobs, 64);
        collected(&mut jobs);
    }
    nanoseconds(start.elapsed(), rounds * 64)
}

fn map(workers: u32) -> f64 {
    let (pool, count) = (pool(workers), work::amount(1_000_000));
    let batch = || {
        let start = Instant::now();
        assert!(pool.map::<plus_seven>(0..count).zip(0..).all(|(sum, seed)| sum.expect("a sum") == work::add(seed)));
        nanoseconds(start.elapsed(), count)
    };
    batch();
    work::median(&mut [batch(), batch(), batch()])
}

fn round_trip(workers: u32) -> f64 {
    let pool = pool(workers);
    let one = |seed| {
        let start = Instant::now();
        assert_eq!(pool.run(plus_seven::job(seed)).expect("a sum"), work::add(seed));
        start.elapsed().as_nanos() as f64
    };
    work::median(&mut (0..work::amount(50_000)).map(one).collect::<Vec<_>>())
}

fn signal(processes: &[u32], number: i32) {
    unsafe extern "C" {
        fn kill(pid: i32, signal: i32) -> i32;
    }
    for process in processes {
        // SAFETY: kill(2) takes two numbers.
        assert_eq!(unsafe { kill(process.cast_signed(), number) }, 0);
    }
}

const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

/// Has so many jobs wait for workers that do not move, and lets them go on: what submission and collection of one took, and
/// by how much the parent grew.
fn waiting(count: u32) -> (f64, f64, f64) {
    let pool = pool(2);
    let processes = descendants();
    let mut jobs = Vec::with_capacity(count as usize);
    // The pages of the list of handles are no job's memory.
    jobs.spare_capacity_mut().iter_mut().for_each(|place| *place = std::mem::MaybeUninit::zeroed());
    let (mut submitting, mut collecting) = (Duration::ZERO, Duration::ZERO);
    let mut grown = None;
    let rounds = (200_000 / count).max(1);
    for _ in 0..rounds {
        signal(&processes, SIGSTOP);
        let (before, start) = (resident(), Instant::now());
        submitted(&pool, &mut jobs, count);
        submitting += start.elapsed();
        grown.get_or_insert(resident() - before);
        signal(&processes, SIGCONT);
        let start = Instant::now();
        collected(&mut jobs);
        collecting += start.elapsed();
    }
    let all = rounds * count;
    (nanoseconds(submitting, all), nanoseconds(collecting, all), grown.unwrap_or(0.0) / f64::from(count))
}

fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("a number of pages") * 4096.0
}

fn submit(count: u32) -> f64 {
    waiting(count).0
}

fn drain(count: u32) -> f64 {
    waiting(count).1
}

fn bytes(count: u32) -> f64 {
    waiting(count).2
}

fn idle(workers: u32) -> f64 {
    let _pool = pool(workers);
    let switches = || -> f64 {
        let threads =
            descendants().into_iter().chain([std::process::id()]).flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")));
        let threads = threads.flatten().flatten().map(|thread| thread.path());
        let is_ours = |main: &std::path::PathBuf| !main.ends_with(std::process::id().to_string());
        let texts = threads.filter(is_ours).map(|thread| fs::read_to_string(thread.join("status")).unwrap_or_default());
        let of_one = |text: String| -> f64 {
            let lines = text.lines().filter(|line| line.contains("voluntary_ctxt_switches:"));
            lines.filter_map(|line| line.rsplit('\t').next()?.parse::<f64>().ok()).sum()
        };
        texts.map(of_one).sum()
    };
    // The supervisor looks once more after the last job, within a second of it.
    std::thread::sleep(Duration::from_secs(3));
    let before = switches();
    std::thread::sleep(Duration::from_secs(10));
    switches() - before
}

/// Finds one value, in a process for it.
pub(crate) fn one(key: &str, size: u32) {
    let row = ROWS.iter().find(|row| row.key == key).expect("a row of this name");
    work::say(key, (row.measure)(size));
}

fn ask(row: &Row, size: u32) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output =
        Command::new(program).args(["scale-one", row.key, &size.to_string()]).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = text.lines().filter_map(|line| line.split_once('\t')?.1.parse().ok()).next();
    value.ok_or_else(|| format!("{} {size}: {}: {}", row.key, output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Prints the table: the median of each value over the rounds, the smallest and the largest.
pub(crate) fn table(rounds: usize, only: &str) -> Result<(), String> {
    for row in ROWS.iter().filter(|row| row.key.contains(only)) {
        let mut found = vec![Vec::new(); row.sizes.len()];
        // The counts of what does not happen need no second look.
        for _ in 0..if row.key == "idle" { 1 } else { rounds } {
            for (size, values) in row.sizes.iter().zip(&mut found) {
                values.push(ask(row, *size)?);
            }
        }
        println!("\n{}\n", row.title);
        println!("|{}", row.sizes.iter().map(|size| format!(" {} |", short(f64::from(*size)))).collect::<String>());
        println!("|{}", "---|".repeat(row.sizes.len()));
        let cell = |values: &mut Vec<f64>| {
            let median = work::median(values);
            format!(" {} ({} – {}) |", short(median), short(values[0]), short(values[values.len() - 1]))
        };
        println!("|{}", found.iter_mut().map(cell).collect::<String>());
    }
    Ok(())
}
