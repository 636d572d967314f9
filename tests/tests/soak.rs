//! A pool under everything at once, for as long as one likes: jobs that return, panic, die, hang, run too long, are cancelled, are
//! tried again, grow their worker's memory, while workers are killed, stopped and replaced, and the pool grows and shrinks. Each job has exactly one outcome, of a kind that it
//! can have; none runs twice that may not; nothing is left behind, and the parent's memory does not drift.
//!
//! `MPM_SOAK_SECONDS` sets how long, `MPM_SOAK_SEED` repeats the choices of a run, though not the times.
//!
//! Longer than 300 lines, because what is thrown at the pool is read together with what is made of it.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mpm::{JobError, JobHandle, Pool, Retry, worker};
use mpm_tests::{Leaks, alone_with_one_thread, children_of, try_kill, watchdog_after};
use tempfile::TempDir;

/// Jobs that each thread has on their way.
const WINDOW: usize = 40;
const THREADS: u64 = 3;

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

#[worker]
fn double(n: u64) -> u64 {
    2 * n
}

#[worker]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Notes that it ran, before it returns.
#[worker]
fn note(path: &Path, number: u64) -> u64 {
    append(path, number);
    number
}

fn append(path: &Path, number: u64) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&number.to_le_bytes()).unwrap();
}

#[worker]
fn panics(n: u64) -> u64 {
    panic!("job {n}");
}

#[worker]
fn dies(way: u64) {
    match way % 3 {
        0 => process::abort(),
        1 => process::exit(7),
        _ => mpm_tests::raise(libc::SIGKILL),
    }
}

#[worker]
fn hangs() {
    while std::hint::black_box(true) {
        std::hint::spin_loop();
    }
}

#[worker]
fn hangs_until_asked() {
    loop {
        mpm::current().checkpoint();
    }
}

#[worker]
fn shaky(n: u64) -> u64 {
    if mpm::current().attempt() == 1 {
        process::abort();
    }
    n
}

/// Memory that its worker never gives back.
#[worker]
fn grows(bytes: usize) -> usize {
    static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap();
    kept.push(vec![1; bytes]);
    kept.len()
}

/// What a job may come to, and how it is looked at.
enum Flying {
    Double(u64, JobHandle<u64>),
    Echo(Vec<u8>, JobHandle<Vec<u8>>),
    Note(u64, JobHandle<u64>),
    Panics(JobHandle<u64>),
    Dies(JobHandle<()>),
    Hangs(JobHandle<()>),
    Shaky(u64, JobHandle<u64>),
    Grows(JobHandle<usize>),
}

/// The outcomes of a thread's jobs, counted by kind.
type Counts = BTreeMap<&'static str, u64>;

fn kind(error: &JobError) -> &'static str {
    match error {
        JobError::Panicked(_) => "panicked",
        JobError::Died(_) => "died",
        JobError::Cancelled(_) => "cancelled",
        JobError::TimedOut(_) => "timed out",
        JobError::Expired(_) => "expired",
        JobError::Poisoned(_) => "poisoned",
        other => panic!("{other}"),
    }
}

/// Counts an outcome; whether it is a value. Any job may die of a kill from outside, or be cancelled.
#[track_caller]
fn count<R: PartialEq + std::fmt::Debug>(
    outcome: Result<R, JobError>,
    good: Option<&R>,
    also: &[&str],
    counts: &mut Counts,
) -> bool {
    let (kind, is_value) = match outcome {
        Ok(value) => {
            assert!(good == Some(&value), "{value:?} instead of {good:?}");
            ("value", true)
        }
        Err(error) => {
            let kind = kind(&error);
            assert!(matches!(kind, "died" | "cancelled") || also.contains(&kind), "{error}");
            (kind, false)
        }
    };
    *counts.entry(kind).or_default() += 1;
    is_value
}

impl Flying {
    fn start(pool: &Pool, dice: &mut Dice, notes: &Path, number: u64) -> Self {
        let ms = Duration::from_millis;
        let n = dice.roll(1 << 40);
        match dice.roll(100) {
            0..45 => Self::Double(n, pool.submit(double::job(n)).unwrap()),
            45..55 => Self::Double(n, pool.submit(double::job(n).timeout(Duration::from_secs(600)).expires(ms(50))).unwrap()),
            55..62 => {
                let bytes = vec![n as u8; dice.roll(400_000) as usize];
                Self::Echo(bytes.clone(), pool.submit(echo::job(bytes)).unwrap())
            }
            62..80 => Self::Note(number, pool.submit(note::job(notes, number)).unwrap()),
            80..86 => Self::Panics(pool.submit(panics::job(n)).unwrap()),
            86..89 => Self::Dies(pool.submit(dies::job(n)).unwrap()),
            89..91 => Self::Hangs(pool.submit(hangs::job().timeout(ms(1 + n % 20))).unwrap()),
            91..93 => Self::Hangs(pool.submit(hangs_until_asked::job().timeout(ms(1 + n % 20))).unwrap()),
            93..97 => {
                let retry = Retry::times(9).backoff(ms(1), ms(20)).poison_after(100);
                Self::Shaky(n, pool.submit(shaky::job(n).retries(retry)).unwrap())
            }
            _ => Self::Grows(pool.submit(grows::job(1 << 18)).unwrap()),
        }
    }

    fn meddle(&self, dice: &mut Dice) {
        let what = dice.roll(40);
        let meddle = |cancel: &dyn Fn() -> bool, abort: &dyn Fn() -> bool| match what {
            0 => drop(cancel()),
            1 => drop(abort()),
            _ => {}
        };
        match self {
            Self::Double(_, job) | Self::Note(_, job) | Self::Panics(job) => meddle(&|| job.cancel(), &|| job.abort()),
            Self::Echo(_, job) => meddle(&|| job.cancel(), &|| job.abort()),
            Self::Hangs(job) => meddle(&|| job.cancel(), &|| job.abort()),
            _ => {}
        }
    }

    /// Waits for the outcome; the number of a note that was said to be written.
    fn end(self, counts: &mut Counts) -> Option<u64> {
        match self {
            Self::Double(n, job) => drop(count(job.wait(), Some(&(2 * n)), &["expired"], counts)),
            Self::Echo(bytes, job) => drop(count(job.wait(), Some(&bytes), &[], counts)),
            Self::Note(number, job) => return count(job.wait(), Some(&number), &[], counts).then_some(number),
            Self::Panics(job) => drop(count(job.wait(), None, &["panicked"], counts)),
            Self::Dies(job) => drop(count(job.wait(), None, &[], counts)),
            Self::Hangs(job) => drop(count(job.wait(), None, &["timed out"], counts)),
            Self::Shaky(n, job) => drop(count(job.wait(), Some(&n), &[], counts)),
            Self::Grows(job) => {
                let outcome = job.wait().map(|_| ());
                count(outcome, Some(&()), &[], counts);
            }
        }
        None
    }
}

/// Submits jobs, meddles with them, and waits for them in an order of its own.
fn fly(pool: &Pool, mut dice: Dice, notes: &Path, numbers: &AtomicU64, until: Instant) -> (Counts, Vec<u64>, u64) {
    let (mut counts, mut noted, mut submitted) = (Counts::new(), Vec::new(), 0);
    let mut flying = VecDeque::new();
    while Instant::now() < until {
        while flying.len() < WINDOW {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            flying.push_back(Flying::start(pool, &mut dice, notes, number));
            submitted += 1;
        }
        let at = dice.roll(flying.len() as u64) as usize;
        flying[at].meddle(&mut dice);
        let landed = if dice.roll(4) == 0 { flying.remove(at) } else { flying.pop_front() };
        noted.extend(landed.and_then(|one| one.end(&mut counts)));
    }
    for one in flying {
        noted.extend(one.end(&mut counts));
    }
    (counts, noted, submitted)
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let pages: u64 = fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[mpm::test]
fn soak() {
    alone_with_one_thread_for("soak", || {
        let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
        let seconds = number("MPM_SOAK_SECONDS", 4);
        let seed = number("MPM_SOAK_SEED", u64::from(process::id()));
        println!("MPM_SOAK_SECONDS={seconds} MPM_SOAK_SEED={seed}");
        let _watchdog = watchdog_after(Duration::from_secs(120 + 2 * seconds));
        let leaks = {
            // By the same template: it stays.
            Pool::builder().workers(1).env("RUST_BACKTRACE", "0").build().unwrap().run(double::job(1)).unwrap();
            Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"])
        };
        let folder = TempDir::new().unwrap();
        let notes = folder.path().join("notes");
        File::create(&notes).unwrap();
        let pool = Pool::builder().name("soak").workers(4).grace(Duration::from_millis(30)).max_jobs(5_000);
        let pool = pool.max_jobs_jitter(0.5).max_age(Duration::from_secs(4)).max_rss(48 << 20).max_rss_hard(512 << 20);
        let pool = pool.unresponsive(Duration::from_secs(3));
        // Backtraces of panics would take most of the time.
        let pool = pool.env("RUST_BACKTRACE", "0").build().unwrap();
        let numbers = AtomicU64::new(1);
        let (start, time) = (Instant::now(), Duration::from_secs(seconds));
        let until = start + time;
        let mut sizes = Vec::new();
        let results: Vec<_> = thread::scope(|scope| {
            let fliers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (pool, notes, numbers) = (&pool, &notes, &numbers);
                    scope.spawn(move || fly(pool, Dice(seed ^ thread << 32), notes, numbers, until))
                })
                .collect();
            let mut dice = Dice(seed ^ 0xFFFF);
            while Instant::now() < until {
                // Meddles from outside, now and then.
                thread::park_timeout(Duration::from_millis(20 + dice.roll(60)));
                let workers = children_of(process::id());
                if let Some(victim) = workers.get(dice.roll(workers.len().max(1) as u64) as usize) {
                    let signals = [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, libc::SIGSTOP];
                    let _ = try_kill(*victim, signals[dice.roll(4) as usize]);
                }
                match dice.roll(20) {
                    0 => pool.restart(),
                    // With one place, a few kills in a row would be as many failed starts, and the pool's end.
                    1 | 2 => pool.resize(2 + dice.roll(5) as usize).unwrap(),
                    _ => {}
                }
                sizes.push((start.elapsed(), resident()));
            }
            fliers.into_iter().map(|flier| flier.join().unwrap()).collect()
        });
        pool.join();
        let mut counts = Counts::new();
        let mut submitted = 0;
        let mut noted = Vec::new();
        for (some, notes, more) in results {
            some.into_iter().for_each(|(kind, count)| *counts.entry(kind).or_default() += count);
            submitted += more;
            noted.extend(notes);
        }
        println!("{submitted} jobs in {:?}: {counts:?}", start.elapsed());
        assert_eq!(counts.values().sum::<u64>(), submitted, "each job has one outcome");
        check_notes(&notes, noted);
        check_sizes(&sizes, time);
        drop(pool);
        drop(folder);
        leaks.check();
    });
}

/// None ran twice, and all ran that said so.
fn check_notes(file: &Path, mut noted: Vec<u64>) {
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes.len() % 8, 0);
    let mut written: Vec<u64> = bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect();
    written.sort_unstable();
    assert!(written.windows(2).all(|pair| pair[0] != pair[1]), "a job ran twice");
    noted.sort_unstable();
    assert!(noted.iter().all(|number| written.binary_search(number).is_ok()), "a job has a value and did not run");
    println!("{} notes, {} of them with a value", written.len(), noted.len());
}

/// The parent's memory in the last quarter is what it was in the second one. A short run proves nothing here.
fn check_sizes(sizes: &[(Duration, u64)], time: Duration) {
    let largest = |from: u32, to: u32| {
        let part = sizes.iter().filter(|(at, _)| (time * from / 4..time * to / 4).contains(at));
        part.map(|(_, size)| *size).max().unwrap_or(0)
    };
    let (second, last) = (largest(1, 2), largest(3, 4));
    println!("resident: at most {} MiB in the second quarter, {} MiB in the last", second >> 20, last >> 20);
    assert!(time < Duration::from_secs(30) || last < second + second / 4 + (16 << 20), "the parent's memory grows: {sizes:?}");
}

/// A process of its own, where that has time enough; a long run is one already, since it is the only test of this binary.
fn alone_with_one_thread_for(test: &str, body: impl FnOnce()) {
    match std::env::var_os("MPM_SOAK_SECONDS") {
        Some(_) => body(),
        None => alone_with_one_thread(test, body),
    }
}
