//! Why a worker ended.

use std::fmt;

/// Why a worker ended, or is to end: each has one reason, the first one that there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// It had had all the jobs that one worker gets.
    JobLimit,
    /// It had become too old.
    Age,
    /// It had had nothing to do for too long.
    Idle,
    /// It used too much memory.
    Memory,
    /// The pool was to have fewer workers.
    Resized,
    /// All workers were to be replaced.
    Restarted,
    /// The pool ended.
    PoolEnded,
    /// Its job had run too long.
    TimedOut,
    /// Its job was cancelled.
    Cancelled,
    /// It was stopped, or took no jobs.
    Unresponsive,
    /// It was not ready in time, or could get no more jobs.
    Unready,
    /// It wrote what no worker writes.
    Damaged,
    /// It died: it crashed, exited by itself, or was killed by somebody else.
    Died,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JobLimit => "it had had its number of jobs",
            Self::Age => "it had become too old",
            Self::Idle => "it had nothing to do for too long",
            Self::Memory => "it used too much memory",
            Self::Resized => "the pool was to have fewer workers",
            Self::Restarted => "all workers were to be replaced",
            Self::PoolEnded => "the pool ended",
            Self::TimedOut => "its job ran too long",
            Self::Cancelled => "its job was cancelled",
            Self::Unresponsive => "it was stopped, or took no jobs",
            Self::Unready => "it was not ready in time, or could get no more jobs",
            Self::Damaged => "its link was damaged",
            Self::Died => "it died",
        })
    }
}
