//! How a job ends that has met a limit: of its time, of its time in the queue, of the workers that it may kill.

use std::fmt;
use std::time::Duration;

use super::death::{Death, DidRun, HowItEnded, write_stderr};

/// Which limit of its time a job has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeLimit {
    /// The time since the job was started, or since it last told of its progress.
    Time,
    /// The CPU time that its worker has used for it.
    CpuTime,
}

/// A job that ran longer than it may.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOut {
    /// The job's id.
    pub job: u64,
    /// The name of its target.
    pub target: &'static str,
    /// The worker's name.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// Which try at the job this was, from 1.
    pub attempt: u32,
    /// Which limit it has met.
    pub kind: TimeLimit,
    /// The limit.
    pub limit: Duration,
    /// How long the job ran.
    pub elapsed: Duration,
    /// Whether its own code ran: [`No`](DidRun::No) where its arguments took so long to decode.
    pub did_run: DidRun,
    /// How its worker ended; `None` where the job ended itself when it was asked to, and its worker goes on.
    pub how: Option<HowItEnded>,
    /// The last lines that the worker wrote to its standard error, oldest first.
    pub stderr: Vec<String>,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, target, worker, pid, limit, elapsed, .. } = self;
        let what = match self.kind {
            TimeLimit::Time => "",
            TimeLimit::CpuTime => " of CPU time",
        };
        write!(
            f,
            "job {job} (`{target}`) exceeded its limit of {limit:?}{what} in worker {worker} (pid {pid}): after {elapsed:.1?} "
        )?;
        match &self.how {
            None => f.write_str("it ended itself, as it was asked to")?,
            Some(how) => write!(f, "its worker {how}")?,
        }
        if self.attempt > 1 {
            write!(f, "; this was attempt {}", self.attempt)?;
        }
        write_stderr(f, &self.stderr)
    }
}

/// A job that no worker had started when its time to wait was over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expired {
    /// The job's id.
    pub job: u64,
    /// The name of its target.
    pub target: &'static str,
    /// How long it might wait.
    pub limit: Duration,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} (`{}`) expired: no worker had started it within {:?}", self.job, self.target, self.limit)
    }
}

/// A job that has killed so many workers that it is not tried again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Poisoned {
    /// The job's id.
    pub job: u64,
    /// The name of its target.
    pub target: &'static str,
    /// The reports of all those workers, oldest first.
    pub deaths: Vec<Death>,
}

impl fmt::Display for Poisoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, target, deaths } = self;
        write!(f, "job {job} (`{target}`) has killed {} workers and is not tried again", deaths.len())?;
        deaths.iter().try_for_each(|death| write!(f, "\n- {death}"))
    }
}
