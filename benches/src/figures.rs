//! What was found: the values of all rounds, with the machine they were found on, as they stand in `figures.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::table::{Aim, Better, Figure, THREADS};
use crate::work::median;

#[derive(Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) machine: Machine,
    /// How it was asked for.
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) under_load: bool,
    /// By figure and contestant: a value for each round, `None` where it failed.
    pub(crate) values: BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>>,
    /// By figure and contestant: what it did otherwise than the others.
    pub(crate) remarks: BTreeMap<String, BTreeMap<String, String>>,
    /// Who could not take part, and what to do about it; whose process failed, and how.
    pub(crate) left_out: BTreeMap<String, String>,
    pub(crate) failures: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        Self {
            cpu: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
        }
    }
}

/// The median of some values, the smallest and the largest.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) smallest: f64,
    pub(crate) largest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let median = median(&mut values);
        Some(Self { median, smallest: *values.first()?, largest: *values.last()? })
    }
}

impl Figures {
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    pub(crate) fn write(&self, file: &Path) {
        let text = serde_json::to_string_pretty(self).expect("it is plain data");
        std::fs::write(file, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    fn rounds(&self, figure: &str, who: &str) -> &[Option<f64>] {
        self.values.get(figure).and_then(|found| found.get(who)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn spread(&self, figure: &str, who: &str) -> Option<Spread> {
        Spread::of(self.rounds(figure, who).iter().copied().flatten())
    }

    /// The ratios within a round of one contestant's value to another's.
    pub(crate) fn ratio(&self, figure: &str, who: &str, to: &str) -> Option<Spread> {
        let pairs = self.rounds(figure, who).iter().zip(self.rounds(figure, to));
        Spread::of(pairs.filter_map(|(value, base)| Some((*value)? / (*base)?)))
    }

    /// What `who` has of what an aim is about.
    pub(crate) fn aimed(&self, figure: &Figure, who: &str, aim: Aim) -> Option<Spread> {
        match aim {
            Aim::TimesTheLimit(_) => self.ratio(figure.key, who, figure.limit),
            Aim::TimesTheThreads(_) => self.ratio(figure.key, who, THREADS),
            Aim::Value(_) => self.spread(figure.key, who),
        }
    }

    /// Those who have a value of this figure, the best first.
    pub(crate) fn ranking(&self, figure: &Figure) -> Vec<(&str, Spread)> {
        let found = self.values.get(figure.key).into_iter().flatten();
        let mut ranking: Vec<_> = found.filter_map(|(who, _)| Some((who.as_str(), self.spread(figure.key, who)?))).collect();
        ranking.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
        if figure.better == Better::Higher {
            ranking.reverse();
        }
        ranking
    }
}
