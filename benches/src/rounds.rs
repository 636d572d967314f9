//! Runs the rounds: each contestant does each measure in a process of its own, and each round begins with another one.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::figures::{Figures, Machine};
use crate::table::{CONTESTANTS, Contestant, MEASURES, Measure, Program};
use crate::work::median;

/// For one measure of one contestant; who needs longer is killed and counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Wanted {
    pub(crate) rounds: usize,
    pub(crate) measure: String,
    pub(crate) contestant: String,
    /// Another build of this program.
    pub(crate) other: Option<PathBuf>,
    pub(crate) quick: bool,
    pub(crate) under_load: bool,
}

impl Wanted {
    /// A measure by its key or by a figure's title.
    fn has(&self, measure: &Measure) -> bool {
        measure.key.contains(&self.measure) || measure.figures.iter().any(|figure| figure.title.contains(&self.measure))
    }

    /// Those whose name has the text; limits and threads always, for the ratios.
    fn includes(&self, contestant: &Contestant) -> bool {
        if contestant.program == Program::Other {
            return self.other.is_some();
        }
        contestant.name.contains(&self.contestant) || contestant.name.starts_with("limit") || contestant.key == "threads"
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

impl Contestant {
    /// What starts it, or why it cannot be started.
    fn command(&self, wanted: &Wanted) -> Result<Command, String> {
        let measuring = |program: PathBuf| {
            let mut command = Command::new(program);
            command.arg("measure");
            command
        };
        let installed = |command: Command, needs: PathBuf| {
            let missing = "not installed here: run `benches/peers.sh`";
            if needs.exists() { Ok(command) } else { Err(missing.to_owned()) }
        };
        let limits = |program: &str| {
            if program.is_empty() { Err("cannot be linked here".to_owned()) } else { Ok(Command::new(program)) }
        };
        let mut command = match self.program {
            Program::Here => measuring(std::env::current_exe().map_err(|error| error.to_string())?),
            Program::Other => measuring(wanted.other.clone().ok_or("not asked for")?),
            Program::Limits => limits(env!("LIMITS_DYNAMIC"))?,
            Program::StaticLimits => limits(env!("LIMITS_STATIC"))?,
            Program::Python => {
                let python = folder("target/peers/venv/bin/python");
                let mut command = Command::new(&python);
                command.arg(folder("peers/pools.py"));
                installed(command, folder("target/peers/venv/installed"))?
            }
            Program::Node => {
                let mut command = Command::new("node");
                command.arg(folder("peers/workerpool.cjs"));
                installed(command, folder("target/peers/node_modules/workerpool"))?
            }
        };
        command.arg(self.key);
        if wanted.quick {
            command.env("MPM_BENCHES_QUICK", "1");
        }
        Ok(command)
    }
}

/// All that a child writes, or `None` when it takes too long.
fn output(child: &mut Child) -> Option<String> {
    let mut pipe = child.stdout.take().expect("it has a pipe");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        let _ = tell.send(text);
    });
    told.recv_timeout(PATIENCE).ok()
}

/// The lines that a process of a contestant prints: figure, value and remark.
fn one_process(mut command: Command, measure: &Measure) -> Result<Vec<(String, f64, String)>, String> {
    command.arg(measure.key).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut complaints = child.stderr.take().expect("it has a pipe");
    let complaints = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = complaints.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let Some(text) = output(&mut child) else {
        let _ = child.kill().and_then(|()| child.wait());
        return Err(format!("took more than {PATIENCE:?}"));
    };
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        let complaints = complaints.join().unwrap_or_default();
        return Err(format!("{status}: {}", complaints.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()));
    }
    let line = |line: &str| {
        let mut parts = line.split('\t');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next().unwrap_or_default().to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// What a contestant finds in a round, the median of some processes for each figure.
fn turn(contestant: &Contestant, measure: &Measure, wanted: &Wanted) -> Result<BTreeMap<String, (f64, String)>, String> {
    let mut found: BTreeMap<String, (Vec<f64>, String)> = BTreeMap::new();
    for _ in 0..measure.processes {
        for (figure, value, remark) in one_process(contestant.command(wanted)?, measure)? {
            let entry = found.entry(figure).or_default();
            entry.0.push(value);
            entry.1 = remark;
        }
    }
    Ok(found.into_iter().map(|(figure, (mut values, remark))| (figure, (median(&mut values), remark))).collect())
}

/// Runs all rounds.
pub(crate) fn run(wanted: &Wanted) -> Figures {
    let mut figures = Figures {
        machine: Machine::this(),
        rounds: wanted.rounds,
        quick: wanted.quick,
        under_load: wanted.under_load,
        values: BTreeMap::new(),
        remarks: BTreeMap::new(),
        left_out: BTreeMap::new(),
        failures: Vec::new(),
    };
    let mut present: Vec<&Contestant> = CONTESTANTS.iter().filter(|contestant| wanted.includes(contestant)).collect();
    present.retain(|contestant| match contestant.command(wanted) {
        Ok(_) => true,
        Err(reason) => {
            figures.left_out.insert(contestant.name.to_owned(), reason);
            false
        }
    });
    for round in 0..wanted.rounds {
        for measure in MEASURES.iter().filter(|measure| wanted.has(measure)) {
            let begin = Instant::now();
            let turns: Vec<_> = present.iter().filter(|contestant| contestant.does(measure)).collect();
            for place in 0..turns.len() {
                figures.take(round, turns[(round + place) % turns.len()], measure, wanted);
            }
            eprintln!("round {} of {}: {}, {:.1?}", round + 1, wanted.rounds, measure.key, begin.elapsed());
        }
    }
    figures
}

impl Figures {
    fn take(&mut self, round: usize, contestant: &Contestant, measure: &Measure, wanted: &Wanted) {
        let mut found = turn(contestant, measure, wanted).unwrap_or_else(|error| {
            eprintln!("  {} failed: {error}", contestant.name);
            self.failures.push(format!("round {}, {}, {}: {error}", round + 1, contestant.name, measure.key));
            BTreeMap::new()
        });
        for figure in measure.figures {
            let who = contestant.name.to_owned();
            let (value, remark) = found.remove(figure.key).map_or((None, String::new()), |(value, remark)| (Some(value), remark));
            self.values.entry(figure.key.to_owned()).or_default().entry(who.clone()).or_default().push(value);
            if !remark.is_empty() {
                self.remarks.entry(figure.key.to_owned()).or_default().insert(who, remark);
            }
        }
    }
}
