//! Start costs: a pool of two until its first result, a process for each job, and the private memory of an idle worker;
//! for mpm's start methods, for procspawn, for Python's multiprocessing, and for the system's bare calls.
//!
//! Each contestant measures itself in a process of its own, since only a fresh process has a cold first pool. A round
//! asks all of them, each round begins with another, and ratios are taken within a round.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mpm::{Pool, Process, StartMethod, worker};

/// Fresh processes a round that make a cold pool; their median counts.
const COLD: usize = 5;
const WARM: usize = 5;
const JOBS: u32 = 400;

const MPM: [(&str, StartMethod); 3] =
    [("mpm forkserver", StartMethod::ForkServer), ("mpm fork", StartMethod::Fork), ("mpm spawn", StartMethod::Spawn)];
const PROCSPAWN: &str = "procspawn 1.0";
const FORK: &str = "limit: fork";
const EXEC: &str = "limit: exec, dynamic";

/// What is measured, under which key, and whose value is 1 in its ratios.
const MEASURES: [(&str, &str, &str); 5] = [
    ("pool of 2 until the first result, cold, ms", "cold", EXEC),
    ("pool of 2 until the first result, warm, ms", "warm", FORK),
    ("a process for each job, 2 at a time, µs a job", "per job", FORK),
    ("a process for each job, one after the other, µs a job", "one", FORK),
    ("idle worker, private KiB", "memory", FORK),
];

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// Long enough that the other worker gets the next one.
#[worker]
fn pid() -> u32 {
    std::thread::sleep(Duration::from_millis(50));
    std::process::id()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn say(measure: &str, value: f64) {
    println!("{measure}\t{value}");
}

/// The time of one pool until its first result, in milliseconds; its end is not counted.
fn first_result<P>(begin: impl FnOnce() -> P) -> f64 {
    let start = Instant::now();
    let pool = begin();
    let took = start.elapsed();
    drop(pool);
    took.as_secs_f64() * 1e3
}

fn jobs(measure: &str, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    say(measure, start.elapsed().as_secs_f64() * 1e6 / f64::from(JOBS));
}

fn private_kib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the kernel tells");
    let private = text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

/// The mean over the workers whose pids these are, once they have been idle for a while.
fn memory(mut pids: Vec<u32>) {
    pids.sort_unstable();
    pids.dedup();
    std::thread::sleep(Duration::from_millis(200));
    say("memory", pids.iter().map(|pid| private_kib(*pid)).sum::<f64>() / pids.len() as f64);
}

fn mpm_pool(method: StartMethod) -> Pool {
    let pool = Pool::builder().workers(2).start(method).build().expect("a pool of 2");
    assert_eq!(pool.run(add::job(20, 22)).expect("add"), 42);
    pool
}

fn by_mpm(method: StartMethod, cold: bool) {
    if cold {
        return say("cold", first_result(|| mpm_pool(method)));
    }
    drop(mpm_pool(method));
    say("warm", median(&mut [(); WARM].map(|()| first_result(|| mpm_pool(method)))));
    let pool = Pool::builder().workers(2).start(method).max_jobs(1).build().expect("a pool of 2");
    pool.run(add::job(20, 22)).expect("add");
    jobs("per job", || {
        let handles: Vec<_> = (0..JOBS).map(|_| pool.submit(add::job(20, 22)).expect("submit")).collect();
        handles.into_iter().for_each(|handle| assert_eq!(handle.wait().expect("add"), 42));
    });
    drop(pool);
    jobs("one", || {
        for _ in 0..JOBS {
            let process = Process::builder(add::job(20, 22)).start_method(method).start().expect("a process");
            assert_eq!(process.wait().expect("add"), 42);
        }
    });
    let pool = mpm_pool(method);
    memory(pool.map::<pid>((0..8).map(|_| ())).map(|pid| pid.expect("pid")).collect());
}

fn procspawn_pool() -> procspawn::Pool {
    let pool = procspawn::Pool::new(2).expect("a pool of 2");
    assert_eq!(pool.spawn((20, 22), |(a, b): (u32, u32)| a + b).join().expect("add"), 42);
    pool
}

fn by_procspawn(cold: bool) {
    if cold {
        return say("cold", first_result(procspawn_pool));
    }
    drop(procspawn_pool());
    say("warm", median(&mut [(); WARM].map(|()| first_result(procspawn_pool))));
    let begin = || procspawn::spawn((20, 22), |(a, b): (u32, u32)| a + b);
    jobs("per job", || {
        let mut out = VecDeque::from([begin(), begin()]);
        for job in 2..JOBS + 2 {
            assert_eq!(out.pop_front().expect("two are out").join().expect("add"), 42);
            if job < JOBS {
                out.push_back(begin());
            }
        }
    });
    jobs("one", || (0..JOBS).for_each(|_| assert_eq!(begin().join().expect("add"), 42)));
    let pool = procspawn_pool();
    let handles: Vec<_> = (0..8)
        .map(|_| {
            pool.spawn((), |()| {
                std::thread::sleep(Duration::from_millis(50));
                std::process::id()
            })
        })
        .collect();
    memory(handles.into_iter().map(|handle| handle.join().expect("pid")).collect());
}

/// Measures the contestant `who` in this process.
pub(crate) fn one(who: &str, what: &str) {
    match MPM.iter().find(|(name, _)| *name == who) {
        Some((_, method)) => by_mpm(*method, what == "cold"),
        None => by_procspawn(what == "cold"),
    }
}

/// A name, a program, and its arguments but for the last, which is `cold` or `rest`.
struct Contestant {
    who: String,
    program: String,
    arguments: Vec<String>,
    what_last: bool,
}

impl Contestant {
    fn here(who: &str) -> Self {
        let program = std::env::current_exe().expect("this program").display().to_string();
        Self { who: who.to_owned(), program, arguments: vec!["start-one".to_owned(), who.to_owned()], what_last: true }
    }

    fn python(method: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/start.py").to_owned();
        let (who, program) = (format!("Python multiprocessing {method}"), "python3".to_owned());
        Self { who, program, arguments: vec![script, method.to_owned()], what_last: true }
    }

    fn limit(who: &str, program: &str, way: &str) -> Self {
        Self { who: who.to_owned(), program: program.to_owned(), arguments: vec![way.to_owned()], what_last: false }
    }

    fn is_missing(&self) -> bool {
        self.program.is_empty()
            || (!Path::new(&self.program).is_absolute() && Command::new(&self.program).arg("--version").output().is_err())
    }

    /// The lines that it prints, as measures with their values.
    fn measure(&self, what: &str) -> Vec<(String, f64)> {
        let mut arguments = self.arguments.clone();
        arguments.insert(if self.what_last { arguments.len() } else { 0 }, what.to_owned());
        let output = Command::new(&self.program).args(arguments).output().expect("the contestant starts");
        assert!(output.status.success(), "{}: {}", self.who, String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter_map(|line| line.split_once('\t')).map(|(m, v)| (m.to_owned(), v.parse().expect("a number"))).collect()
    }

    fn round(&self) -> BTreeMap<String, f64> {
        let mut cold: Vec<f64> = (0..COLD).flat_map(|_| self.measure("cold")).map(|(_, value)| value).collect();
        let mut found: BTreeMap<_, _> = self.measure("rest").into_iter().collect();
        found.insert("cold".to_owned(), median(&mut cold));
        found
    }
}

/// Runs `rounds` rounds of those whose names have `only`, and prints the table.
pub(crate) fn table(rounds: usize, only: &str) {
    let mut contestants: Vec<_> = MPM.iter().map(|(who, _)| Contestant::here(who)).collect();
    contestants.push(Contestant::here(PROCSPAWN));
    contestants.extend(["forkserver", "fork", "spawn"].map(Contestant::python));
    contestants.push(Contestant::limit(FORK, env!("LIMITS_DYNAMIC"), "fork"));
    contestants.push(Contestant::limit(EXEC, env!("LIMITS_DYNAMIC"), "exec"));
    contestants.push(Contestant::limit("limit: exec, static", env!("LIMITS_STATIC"), "exec"));
    contestants.retain(|c| c.who.contains(only) || c.who == FORK || c.who == EXEC);
    let (missing, contestants): (Vec<_>, Vec<_>) = contestants.into_iter().partition(Contestant::is_missing);
    let mut found: Vec<BTreeMap<&str, BTreeMap<String, f64>>> = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let turns = (0..contestants.len()).map(|turn| &contestants[(round + turn) % contestants.len()]);
        found.push(turns.map(|contestant| (&*contestant.who, contestant.round())).collect());
    }
    println!("| measure | who | median | smallest – largest | median ratio to the limit in bold |\n|---|---|---|---|---|");
    for (measure, key, limit) in MEASURES {
        for Contestant { who, .. } in &contestants {
            let value = |round: &BTreeMap<&str, BTreeMap<String, f64>>, who: &str| round.get(who)?.get(key).copied();
            let mut values: Vec<f64> = found.iter().filter_map(|round| value(round, who)).collect();
            let mut ratios: Vec<f64> = found.iter().filter_map(|round| Some(value(round, who)? / value(round, limit)?)).collect();
            let (middle, ratio) = (median(&mut values), median(&mut ratios));
            let (Some(low), Some(high)) = (values.first(), values.last()) else { continue };
            let bold = if who == limit { "**" } else { "" };
            println!("| {measure} | {bold}{who}{bold} | {middle:.2} | {low:.2} – {high:.2} | {ratio:.2} |");
        }
        for Contestant { who, program, .. } in &missing {
            let reason = if program.is_empty() { "cannot be linked here" } else { "is not installed here" };
            println!("| {measure} | {who} | {reason} | | |");
        }
    }
}
