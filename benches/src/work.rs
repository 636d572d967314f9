//! The work that all contestants do and how its time is taken, once for all of them. In comes how a contestant does one
//! call or one batch; out go lines on standard output: a figure, its value, and maybe a remark, with tabs between.
//!
//! The program of the limits is built without a crate and takes this file as it is, so it needs nothing but `std`.

use std::time::{Duration, Instant};

pub(crate) const MIB: usize = 1 << 20;
/// Jobs of a batch. A contestant that would need minutes takes fewer.
pub(crate) const ONE_BY_ONE: u32 = 200_000;
pub(crate) const MAP: u32 = 10_000_000;
/// Each loop ends after this time, even if a slow contestant has not made all its calls.
const ENOUGH: Duration = Duration::from_secs(2);

pub(crate) fn say(figure: &str, value: f64) {
    println!("{figure}\t{value}");
}

/// So many, or a tenth of it with `--quick`.
pub(crate) fn amount(full: u32) -> u32 {
    if std::env::var_os("MPM_BENCHES_QUICK").is_some() { full / 10 } else { full }
}

/// What one call for `seed` must have as its result.
pub(crate) fn add(seed: u32) -> u32 {
    seed.wrapping_add(7)
}

/// Sorts `values`; the middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Calls one after the other with a pause before each; the sorted times in microseconds.
fn calls(n: u32, pause: Duration, mut call: impl FnMut(u32) -> u32) -> Vec<f64> {
    for seed in 0..amount(1000).min(n) {
        call(seed);
    }
    let begin = Instant::now();
    let mut times = Vec::with_capacity(n as usize);
    for seed in 0..amount(n) {
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        let start = Instant::now();
        let result = call(seed);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        assert_eq!(result, add(seed));
        if begin.elapsed() > ENOUGH {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    times
}

/// One job outstanding, asked again at once.
pub(crate) fn round_trips(call: impl FnMut(u32) -> u32) {
    let times = calls(20_000, Duration::ZERO, call);
    say("round-trip-p50", times[times.len() / 2]);
    say("round-trip-p99", times[times.len() * 99 / 100]);
}

/// One job outstanding, asked after a pause in which everybody who spins has gone to sleep.
pub(crate) fn round_trips_asleep(call: impl FnMut(u32) -> u32) {
    let times = calls(500, Duration::from_millis(1), call);
    say("asleep-p50", times[times.len() / 2]);
}

/// Batches of so many jobs instead of the `full` number, at most five; `run` gives the sum of all results of one. Their median, in jobs a second.
pub(crate) fn batches(figure: &str, jobs: u32, full: u32, mut run: impl FnMut(u32) -> u64) {
    let jobs = amount(jobs);
    let expected: u64 = (0..jobs).map(|seed| u64::from(add(seed))).sum();
    let begin = Instant::now();
    let mut rates = Vec::new();
    while rates.len() < 5 && (rates.is_empty() || begin.elapsed() < ENOUGH / 2) {
        let start = Instant::now();
        assert_eq!(run(jobs), expected);
        rates.push(f64::from(jobs) / start.elapsed().as_secs_f64());
    }
    let remark = if jobs == amount(full) { String::new() } else { format!("\t{jobs} jobs") };
    println!("{figure}\t{}{remark}", median(&mut rates));
}

/// The median over some calls with so many bytes, in MB/s.
fn rate(figure: &str, bytes: usize, mut call: impl FnMut(u32) -> Duration) {
    let calls = amount(if bytes > MIB { 30 } else { 200 });
    for warm in 0..3 {
        call(warm);
    }
    let begin = Instant::now();
    let mut rates = Vec::new();
    for seed in 0..calls {
        rates.push(bytes as f64 / call(seed).as_secs_f64() / 1e6);
        if begin.elapsed() > ENOUGH {
            break;
        }
    }
    say(&format!("{figure}-{}", bytes / MIB), median(&mut rates));
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

/// Bytes there and back, owned on both ways: the result of a call is what the next one takes.
pub(crate) fn echoes(bytes: usize, mut call: impl FnMut(Vec<u8>) -> Vec<u8>) {
    let expected = payload(bytes);
    let mut holds = expected.clone();
    rate("echo", bytes, |seed| {
        holds[0] = seed as u8;
        let start = Instant::now();
        holds = call(std::mem::take(&mut holds));
        let took = start.elapsed();
        assert!(holds[0] == seed as u8 && holds[1..] == expected[1..]);
        took
    });
}

/// What a worker does with bytes that it is lent: it looks at each page.
pub(crate) fn look_at(bytes: &[u8]) -> u64 {
    bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum()
}

/// Lent bytes there, a number back.
pub(crate) fn borrowed(bytes: usize, mut call: impl FnMut(&[u8]) -> u64) {
    let mut holds = payload(bytes);
    rate("borrowed", bytes, |seed| {
        holds[0] = seed as u8;
        let start = Instant::now();
        let result = call(&holds);
        let took = start.elapsed();
        assert_eq!(result, look_at(&holds));
        took
    });
}

/// So many steps, each of which needs the one before.
pub(crate) fn burn(seed: u32, steps: u64) -> u64 {
    let mut x = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..steps {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        x = x.wrapping_mul(0x2545_f491_4f6c_dd1d);
    }
    x
}

/// Steps of `burn` that take a millisecond where nobody disturbs.
pub(crate) fn millisecond() -> u64 {
    const STEPS: u64 = 400_000;
    let fastest = (0..20).map(|seed| timed(|| std::hint::black_box(burn(seed, STEPS)))).fold(f64::MAX, f64::min);
    (STEPS as f64 * 1e-3 / fastest) as u64
}

/// In seconds.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(run());
    start.elapsed().as_secs_f64()
}

/// Jobs of a millisecond on two workers: half of what they take one after the other, by what they took. `run` gives the
/// results of so many jobs of so many steps in order.
pub(crate) fn efficiency(run: impl FnOnce(u32, u64) -> Vec<u64>) {
    let (jobs, steps) = (amount(2000), millisecond());
    let serial = || timed(|| (0..jobs / 8).map(|seed| burn(seed, steps)).fold(0, u64::wrapping_add)) / f64::from(jobs / 8);
    let before = serial();
    let start = Instant::now();
    let results = run(jobs, steps);
    let took = start.elapsed().as_secs_f64();
    let after = serial();
    assert_eq!(results.len(), jobs as usize);
    (0..jobs).step_by(50).for_each(|seed| assert_eq!(results[seed as usize], burn(seed, steps)));
    say("cpu", f64::from(jobs) * (before + after) / 2.0 / 2.0 / took);
}

/// Two workers until the first result; their end is not counted. The median of some.
pub(crate) fn first_results<P>(figure: &str, times: usize, mut begin: impl FnMut() -> P) {
    let mut took = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        let pool = begin();
        took.push(start.elapsed().as_secs_f64() * 1e3);
        drop(pool);
    }
    say(figure, median(&mut took));
}

/// Processes for a job each, in microseconds a job; `run` is told how many.
pub(crate) fn processes(figure: &str, run: impl FnOnce(u32)) {
    let jobs = amount(400);
    say(figure, timed(|| run(jobs)) * 1e6 / f64::from(jobs));
}

/// The memory that nobody shares with these processes, once they have been idle for a while; their mean, in KiB.
pub(crate) fn idle(mut workers: Vec<u32>) {
    workers.sort_unstable();
    workers.dedup();
    std::thread::sleep(Duration::from_millis(200));
    let private = |worker: &u32| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{worker}/smaps_rollup")).expect("the kernel tells");
        let private = text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
        private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    };
    say("idle", workers.iter().map(private).sum::<f64>() / workers.len() as f64);
}

/// Jobs that one worker has before it when it is killed in the middle of one, and how long one takes in milliseconds.
pub(crate) const BEFORE_KILL: u32 = 200;
pub(crate) const KILLED_JOB: u64 = 3;

/// `kill -9` of the busy worker. `results` are those of `BEFORE_KILL` jobs in order: the pid of who did it, or `None` for
/// one that failed.
pub(crate) fn kill_under_load(worker: u32, results: impl Iterator<Item = Option<u32>>) {
    unsafe extern "C" {
        fn kill(pid: i32, signal: i32) -> i32;
    }
    let (mut done, mut failed, mut killed, mut next) = (0, 0, None, None);
    for result in results {
        match (result, killed) {
            (None, _) => failed += 1,
            (Some(pid), Some(killed)) if pid != worker => {
                done += 1;
                next.get_or_insert_with(|| Instant::elapsed(&killed));
            }
            (Some(_), _) => done += 1,
        }
        if done == 20 && killed.is_none() {
            std::thread::sleep(Duration::from_millis(1));
            killed = Some(Instant::now());
            // SAFETY: kill(2) takes two numbers.
            assert_eq!(unsafe { kill(worker.cast_signed(), 9) }, 0);
        }
    }
    say("kill-next", next.map_or(f64::NAN, |next| next.as_secs_f64() * 1e3));
    say("kill-failed", f64::from(failed));
    say("kill-lost", f64::from(BEFORE_KILL) - f64::from(done + failed));
}
