//! What is said of a worker that ended before it was of any use.

use super::deadlines::first_job;
use super::member::{Fate, Process, State};
use super::shared::Shared;
use crate::error::{Error, Kind};
use crate::start::how;

/// The error of a worker that ended before it was of any use.
pub(super) fn failed_start(process: &Process, exit: crate::sys::Exit, stderr: Vec<String>, shared: &Shared) -> Error {
    let (worker, pid) = (&process.worker, process.pid());
    let reason = match (&process.refused, &process.fate) {
        (Some(reason), _) => format!("worker {worker} (pid {pid}) refused to start: {reason}"),
        (None, Some(Fate::Unready(reason) | Fate::Unfit(_, reason))) => format!("worker {worker} (pid {pid}) {reason}"),
        _ if matches!(process.state, State::Starting { .. }) => {
            let when = match first_job(process, shared) {
                Some(job) => format!("while it ran {job}"),
                None => "before it was ready; does main() begin with mpm::init()?".to_owned(),
            };
            format!("worker {worker} (pid {pid}) {} {when}", how(exit))
        }
        _ => format!("worker {worker} (pid {pid}) {} before it did a job", how(exit)),
    };
    Error::new(Kind::System, reason).with_stderr(stderr)
}
