//! A large table, loaded once before there are workers, and read by all of them: how much memory each worker has for itself, and
//! what sharing has saved.
//!
//! ```console
//! $ cargo run --release --example preload
//! $ cargo run --release --example preload -- --megabytes 50 --workers 4 --start spawn
//! $ cargo run --release --example preload -- --help
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mpm::{Pool, StartMethod, worker};

const HELP: &str = "\
usage: preload [--megabytes N] [--workers N] [--start METHOD] [--help]

Preloads a table, has every worker read all of it, and prints the memory that each worker has for itself.

  --megabytes N    size of the table (default: 500)
  --workers N      how many workers (default: 8)
  --start METHOD   forkserver, fork: one table, which all share; spawn: one in each worker (default: as
                   MPM_START_METHOD says, else forkserver)
  --help           print this text

Exit code: 0 if all is well, 1 if something went wrong, 2 if the command line makes no sense.
";

const MEGABYTE: u64 = 1_000_000;
/// How long this waits until every worker has answered.
const PATIENCE: Duration = Duration::from_secs(100);

// ANCHOR: table
static TABLE: OnceLock<Vec<u64>> = OnceLock::new();

/// Runs before there are workers. What it leaves in a static, they all have.
#[worker]
fn load(bytes: usize) -> Result<(), String> {
    let mut table = Vec::new();
    table.try_reserve_exact(bytes / 8).map_err(|e| format!("a table of {bytes} bytes: {e}"))?;
    table.extend(0..(bytes / 8) as u64);
    TABLE.set(table).map_err(|_| "the table is there already".to_owned())
}

/// Reads the whole table. Returns who did that, and who has forked it, if anybody.
#[worker]
fn read_all() -> (u32, Option<u32>) {
    let table = TABLE.get().map_or(&[][..], Vec::as_slice);
    black_box(table.iter().fold(0, |sum: u64, n| sum.wrapping_add(*n)));
    // The process that built the pool, and the one that made this worker: its template, if there is one.
    let (builder, maker) = (mpm::parent_process().map(|parent| parent.pid()), std::os::unix::process::parent_id());
    (std::process::id(), (builder != Some(maker)).then_some(maker))
}
// ANCHOR_END: table

struct Options {
    megabytes: u64,
    workers: usize,
    start: StartMethod,
}

#[mpm::main]
fn main() -> ExitCode {
    let (code, text) = match parse(std::env::args_os().skip(1)) {
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Some(options)) => match show(&options) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Err(reason) => (2, format!("{reason}; see --help")),
    };
    eprintln!("preload: {text}");
    ExitCode::from(code)
}

/// Reads the command line, without the program's name; `None` asks for help. The error is the reason why it makes no sense.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options { megabytes: 500, workers: 8, start: mpm::start_method().map_err(|e| e.to_string())? };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let name = argument.to_str().filter(|name| ["--help", "-h", "--megabytes", "--workers", "--start"].contains(name));
        let name = name.ok_or_else(|| format!("there is no option {argument:?}"))?;
        if matches!(name, "--help" | "-h") {
            return Ok(None);
        }
        let value = arguments.next().ok_or_else(|| format!("{name} wants a value behind it"))?;
        let value = value.to_string_lossy();
        let number = |most: u64| match value.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(format!("{name} wants a number from 1 to {most}, and {value:?} is none")),
        };
        match name {
            "--megabytes" => options.megabytes = number(1_000_000)?,
            "--workers" => options.workers = number(1_000)? as usize,
            _ => options.start = value.parse().map_err(|e: mpm::Error| e.to_string())?,
        }
    }
    Ok(Some(options))
}

fn show(options: &Options) -> Result<(), Box<dyn Error>> {
    let &Options { megabytes, workers, start } = options;
    fits(options)?;
    // ANCHOR: pool
    let bytes = usize::try_from(megabytes * MEGABYTE)?;
    let pool = Pool::builder().name("preload").workers(workers).start(start).preload(load::job(bytes)).build()?;
    // ANCHOR_END: pool
    let (pids, template) = meet_all(&pool, workers)?;

    println!("a table of {megabytes} MB, {} workers by {start}", pids.len());
    let mut together = Memory::default();
    for (index, pid) in pids.iter().enumerate() {
        let memory = Memory::of(*pid)?;
        println!("worker {}: {} MB resident, {} MB of it private", index + 1, in_mb(memory.resident), in_mb(memory.private));
        together.resident += memory.resident;
        together.share += memory.share;
    }
    if let Some(template) = template {
        together.share += Memory::of(template)?.share;
        println!("the template and its workers hold {} MB in all", in_mb(together.share));
        println!("sharing has saved {} MB", in_mb(together.resident.saturating_sub(together.share)));
    } else {
        println!("the workers hold {} MB in all", in_mb(together.share));
        println!("nothing of the table is shared: with spawn each worker has loaded its own copy");
    }
    Ok(())
}

/// Refuses what the machine has no memory for, before the kernel has to.
fn fits(options: &Options) -> Result<(), Box<dyn Error>> {
    let copies = if options.start == StartMethod::Spawn { options.workers as u64 } else { 1 };
    let wanted = options.megabytes * MEGABYTE * copies;
    let available = bytes_in(&fs::read_to_string("/proc/meminfo")?, "MemAvailable").unwrap_or(u64::MAX);
    if wanted > available / 10 * 9 {
        let (wanted, available, tables) = (in_mb(wanted), in_mb(available), if copies == 1 { "table" } else { "tables" });
        let size = options.megabytes;
        return Err(format!("{copies} {tables} of {size} MB: {wanted} MB wanted, {available} MB available; see --megabytes").into());
    }
    Ok(())
}

/// Hands out jobs until every worker has answered one: their numbers, and that of their template.
fn meet_all(pool: &Pool, workers: usize) -> Result<(BTreeSet<u32>, Option<u32>), Box<dyn Error>> {
    let until = Instant::now() + PATIENCE;
    let (mut met, mut template) = (BTreeSet::new(), None);
    while met.len() < workers {
        if Instant::now() > until {
            return Err(format!("only {} of {workers} workers have answered within {PATIENCE:?}", met.len()).into());
        }
        for outcome in pool.map_unordered::<read_all>((0..workers).map(|_| ())) {
            let (pid, forked_by) = outcome.1?;
            met.insert(pid);
            template = forked_by;
        }
    }
    Ok((met, template))
}

// ANCHOR: memory
/// The memory of a process, in bytes, as the kernel counts it: /proc/PID/smaps_rollup, see proc_pid_smaps(5).
#[derive(Default)]
struct Memory {
    /// All that it has in memory, shared or not (`Rss`).
    resident: u64,
    /// What no other process has (`Private_Clean` and `Private_Dirty`).
    private: u64,
    /// Its share: what two processes have in common counts as a half for each of them, and so on (`Pss`).
    share: u64,
}

impl Memory {
    fn of(pid: u32) -> Result<Self, Box<dyn Error>> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let bytes = |field| bytes_in(&text, field).ok_or_else(|| format!("{path}: there is no {field}"));
        let private = bytes("Private_Clean")? + bytes("Private_Dirty")?;
        Ok(Self { resident: bytes("Rss")?, private, share: bytes("Pss")? })
    }
}
// ANCHOR_END: memory

/// The field of that name in a text of lines like `Pss:   512 kB`.
fn bytes_in(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn in_mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MEGABYTE as f64)
}
