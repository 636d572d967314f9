//! The report of a worker's death.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::exit::WorkerExit;
use super::reason::EndReason;

/// What a worker was doing with the job that it had claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Phase {
    /// It had claimed the job and done nothing with it yet.
    Claimed = 0,
    /// It was decoding the arguments.
    Decoding = 1,
    /// It was in the job's own code.
    Running = 2,
    /// It was encoding the result.
    Encoding = 3,
    /// It was sending the answer.
    Sending = 4,
    /// It was building the object whose method the job calls. It comes between decoding and running.
    Building = 5,
}

impl Phase {
    /// The phase of a number that was written down by a worker; anything unknown counts as running, the phase that
    /// promises least.
    pub(crate) fn from_u32(number: u32) -> Self {
        match number {
            0 => Self::Claimed,
            1 => Self::Decoding,
            3 => Self::Encoding,
            4 => Self::Sending,
            5 => Self::Building,
            _ => Self::Running,
        }
    }

    /// What the phase tells of the job's own code.
    #[must_use]
    pub const fn did_run(self) -> DidRun {
        match self {
            Self::Claimed | Self::Decoding | Self::Building => DidRun::No,
            Self::Running => DidRun::Maybe,
            Self::Encoding | Self::Sending => DidRun::Yes,
        }
    }

    const fn gerund(self) -> &'static str {
        match self {
            Self::Claimed => "before it had looked at",
            Self::Decoding => "while decoding the arguments of",
            Self::Running => "while running",
            Self::Encoding => "while encoding the result of",
            Self::Sending => "while sending the result of",
            Self::Building => "while building the object for",
        }
    }
}

/// Whether a job's own code ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DidRun {
    /// Not one line of it did.
    No,
    /// It was entered; how far it came is not known.
    Maybe,
    /// It returned, and the result was lost.
    Yes,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HowItEnded {
    /// A signal ended it.
    Signal {
        /// The signal's number on this machine.
        number: i32,
        /// Its name, such as `SIGSEGV`.
        name: String,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// It exited with this code, 0 included: a job that exits has not returned.
    Exited(i32),
    /// Nobody knows: the program ignores `SIGCHLD`, or something else in it waits for all children.
    Unknown,
}

impl HowItEnded {
    /// The exit code, if it exited.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        if let Self::Exited(code) = self { Some(*code) } else { None }
    }

    /// The number of the signal that ended it, if one did.
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        if let Self::Signal { number, .. } = self { Some(*number) } else { None }
    }
}

impl fmt::Display for HowItEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal { name, core_dumped, .. } => {
                write!(f, "was killed by {name}{}", if *core_dumped { " (core dumped)" } else { "" })
            }
            Self::Exited(code) => {
                write!(f, "exited with code {code}")?;
                match WorkerExit::from_code(*code) {
                    Some(exit) if exit != WorkerExit::Finished => write!(f, " ({})", exit.meaning()),
                    _ => Ok(()),
                }
            }
            Self::Unknown => f.write_str(
                "ended; its status is unknown, since this program ignores SIGCHLD or something else in it waits for all children",
            ),
        }
    }
}

/// Everything known about a worker that died with a job.
///
/// The [`Display`](fmt::Display) form is one line, with the last lines of standard error below it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Death {
    /// The worker's name.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// How the process ended.
    pub how: HowItEnded,
    /// Whether the kernel killed it for want of memory; `None` if that cannot be told. Judged by the kernel's count of such
    /// kills, in which a process that is no worker can be mistaken for one that was killed by somebody else meanwhile.
    pub out_of_memory: Option<bool>,
    /// What it was doing.
    pub phase: Phase,
    /// Whether the job's own code ran.
    pub did_run: DidRun,
    /// The name of the job's target.
    pub target: &'static str,
    /// The job's id.
    pub job: u64,
    /// What [`Job::tag`](crate::Job::tag) has named it.
    pub tag: Option<Arc<str>>,
    /// Which try at the job this was, from 1.
    pub attempt: u32,
    /// From the claim of the job to the end of the worker.
    pub elapsed: Duration,
    /// The most memory that the process held at once, in bytes; 0 where unknown.
    pub max_rss: u64,
    /// The last lines that the process wrote to standard error, oldest first.
    pub stderr: Vec<String>,
    /// Why the pool itself ended the worker, if it did.
    pub ended_by_pool: Option<String>,
    /// The same as a word: [`EndReason::Died`] if the pool did not.
    pub reason: EndReason,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (pid {}) {}", self.worker, self.pid, self.how)?;
        if self.out_of_memory == Some(true) {
            write!(f, " for want of memory")?;
        }
        write!(f, " {} job {} (`{}`", self.phase.gerund(), self.job, self.target)?;
        if let Some(tag) = &self.tag {
            write!(f, ", tag {tag:?}")?;
        }
        if self.attempt > 1 {
            write!(f, ", attempt {}", self.attempt)?;
        }
        write!(f, ") after {:.1?}", self.elapsed)?;
        if self.max_rss > 0 {
            write!(f, ", at most {} MiB resident", self.max_rss.div_ceil(1024 * 1024))?;
        }
        f.write_str(match self.did_run {
            DidRun::No => "; the job did not run",
            DidRun::Maybe => "; the job may have run in part",
            DidRun::Yes => "; the job ran and its result is lost",
        })?;
        if let Some(reason) = &self.ended_by_pool {
            write!(f, "; the pool ended the worker: {reason}")?;
        }
        write_stderr(f, &self.stderr)
    }
}

/// Appends the last lines of a worker's standard error, one below the other.
pub(crate) fn write_stderr(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    if !lines.is_empty() {
        f.write_str("\n  its last lines on standard error:")?;
    }
    lines.iter().try_for_each(|line| write!(f, "\n  | {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_survives_as_a_number_and_an_unknown_number_promises_least() {
        for phase in [Phase::Claimed, Phase::Decoding, Phase::Running, Phase::Encoding, Phase::Sending, Phase::Building] {
            assert_eq!(Phase::from_u32(phase as u32), phase);
        }
        assert_eq!(Phase::from_u32(77).did_run(), DidRun::Maybe);
    }
}
