//! mpm beside what no pool can beat, an in-process thread pool and its peers, on the same work, interleaved in one run.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml -- --help`. `table.rs` says what is measured and who takes part,
//! `work.rs` what the work is, `contestants` how those do it that are part of this program, `limits` how the bare machine
//! does it; `peers` has the same for other languages.

mod chart;
mod compare;
mod contestants;
mod figures;
mod print;
mod rounds;
mod scale;
mod table;
mod work;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::{Parser, Subcommand};

use figures::Figures;

/// Measures mpm, the limits of this machine, an in-process thread pool and other process pools on the same work, each in a
/// process of its own, interleaved. Prints tables, writes benches/target/figures.json and benches/target/figures.svg.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// Rounds; each begins with another contestant
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only measures whose name has this text, such as "echo"
    #[arg(long, default_value = "")]
    measure: String,
    /// Only contestants whose name has this text; limits and threads stay, for the ratios
    #[arg(long, default_value = "")]
    contestant: String,
    /// Another build of this program, whose mpm takes part too: before and after in one run
    #[arg(long)]
    other: Option<PathBuf>,
    /// Keep all CPUs busy with something else meanwhile
    #[arg(long)]
    load: bool,
    /// A tenth of the work, to try something out
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Compare two runs by their ratios: an older figures.json, and one that is the last run's if not given
    Compare { old: PathBuf, new: Option<PathBuf> },
    /// mpm alone: the cost of a job by the number of workers and of waiting jobs; memory; wake-ups of idle workers
    Scale {
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Only rows whose name has this text: one-by-one, windows, map, round-trip, submit, drain, bytes, idle
        #[arg(long, default_value = "")]
        measure: String,
    },
    /// Find one value of that table in this process
    #[command(hide = true)]
    ScaleOne { measure: String, size: u32 },
    /// Do one measure in this process
    #[command(hide = true)]
    Measure { contestant: String, measure: String },
    /// Be the worker of a contestant that has no pool
    #[command(hide = true)]
    Serve { contestant: String, arguments: Vec<String> },
}

fn results(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// Keeps all CPUs busy as long as `run` runs.
fn under_load<T>(run: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::black_box(work::burn(1, 10_000));
                }
            });
        }
        let found = run();
        done.store(true, Ordering::Relaxed);
        found
    })
}

fn all(options: Options) -> Result<(), String> {
    let Options { rounds, measure, contestant, other, load, quick, .. } = options;
    let wanted = rounds::Wanted { rounds, measure, contestant, other, quick, under_load: load };
    let found = if load { under_load(|| rounds::run(&wanted)) } else { rounds::run(&wanted) };
    print::tables(&found);
    found.write(&results("figures.json"));
    chart::draw(&found, &results("figures.svg")).map_err(|error| format!("figures.svg: {error}"))?;
    eprintln!("wrote {} and figures.svg", results("figures.json").display());
    Ok(())
}

fn main() -> Result<(), String> {
    mpm::init();
    procspawn::init();
    let options = Options::parse();
    match options.command {
        None => all(options)?,
        Some(Task::Compare { old, new }) => {
            let new = new.unwrap_or_else(|| results("figures.json"));
            compare::table(&Figures::read(&old)?, &Figures::read(&new)?);
        }
        Some(Task::Scale { rounds, measure }) => scale::table(rounds, &measure)?,
        Some(Task::ScaleOne { measure, size }) => scale::one(&measure, size),
        Some(Task::Measure { contestant, measure }) => contestants::measure(&contestant, &measure),
        Some(Task::Serve { contestant, arguments }) => contestants::serve(&contestant, &arguments),
    }
    Ok(())
}
