//! The worker's part of jobs that run besides those of its pool: what is preloaded, what runs before a worker takes jobs, what
//! runs when it ends of its own accord. Each is told to the parent before it begins, so that the parent knows what takes so long,
//! and what it died of.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Serialize};

use super::child::{LONGEST_TEXT, RunOne};
use super::handshake::{Reply, send_patiently};
use super::parcel::Parcel;
use super::plan::PreloadJob;
use super::recipe::installed;
use crate::registry::Registry;
use crate::sys::{Socket, fault_point, say};

/// The jobs that each worker of a pool runs besides the pool's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hooks {
    /// Before it takes jobs.
    pub(crate) start: Vec<PreloadJob>,
    /// When it ends of its own accord.
    pub(crate) stop: Vec<PreloadJob>,
}

impl Hooks {
    pub(super) fn is_empty(&self) -> bool {
        self.start.is_empty() && self.stop.is_empty()
    }

    /// What is to run at the worker's end, if anything is.
    pub(super) fn last(&mut self, socket: &Socket, registry: &'static Registry) -> Result<Option<Last>, String> {
        if self.stop.is_empty() {
            return Ok(None);
        }
        let socket = socket.try_clone().map_err(|e| format!("keep the control socket: {e}"))?;
        Ok(Some(Last { socket, registry, jobs: std::mem::take(&mut self.stop) }))
    }

    /// Takes them out of a hello.
    pub(super) fn open(parcel: Option<Parcel>, beside: &mut VecDeque<OwnedFd>) -> Result<Self, String> {
        let Some(parcel) = parcel else { return Ok(Self::default()) };
        let bytes = parcel.open(beside).map_err(|e| format!("take over what is to run first and last: {e}"))?;
        postcard::from_bytes(&bytes).map_err(|e| format!("read what is to run first and last: {e}"))
    }
}

/// When jobs run that come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Before there are workers, or, by spawn, in each of them.
    Preload,
    /// Before a worker takes jobs.
    Start,
}

impl First {
    const fn name(self) -> &'static str {
        match self {
            Self::Preload => "preload",
            Self::Start => "on_start",
        }
    }

    const fn begins(self, index: u32) -> Reply {
        match self {
            Self::Preload => Reply::Preloading(index),
            Self::Start => Reply::Starting(index),
        }
    }

    const fn returned(self, index: u32, result: Vec<u8>) -> Reply {
        match self {
            Self::Preload => Reply::Preloaded(index, result),
            Self::Start => Reply::Started(index, result),
        }
    }
}

/// Runs jobs one after the other, and tells the parent of each.
pub(super) fn run_first(socket: &Socket, registry: &Registry, jobs: Vec<PreloadJob>, first: First) -> Result<(), String> {
    let run_one = installed().map_err(|e| e.to_string())?.duties.run_one;
    for (index, job) in (0..).zip(jobs) {
        let what = || format!("{} job `{}`", first.name(), job.name);
        let tell = |reply: Reply| send_patiently(socket, &reply, &[]).map_err(|e| format!("the parent does not listen: {e}"));
        tell(first.begins(index))?;
        fault_point(match first {
            First::Preload => "preloading",
            First::Start => "on-start",
        });
        let registration = registry.get(job.target).ok_or_else(|| format!("there is no target {}", job.target))?;
        let result = run_one(registration, &job.arguments, &|_| {}).map_err(|e| format!("{} {e}", what()))?;
        if result.len() > LONGEST_TEXT {
            return Err(format!("{} returned {} bytes; a failure is told in less", what(), result.len()));
        }
        tell(first.returned(index, result))?;
    }
    Ok(())
}

/// What a worker runs when it ends of its own accord, and where it tells of it.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) socket: Socket,
    pub(super) registry: &'static Registry,
    pub(super) jobs: Vec<PreloadJob>,
}

impl Last {
    /// Runs the jobs one after the other, whatever becomes of those before, and sends the parent what they return.
    pub(super) fn run(self, run_one: RunOne) {
        for (index, job) in (0..).zip(&self.jobs) {
            if let Err(error) = self.run_job(index, job, run_one) {
                // Nobody is there whom the next one could tell.
                return say(&format!("mpm: the result of on_stop job `{}` is lost: {error}", job.name));
            }
        }
    }

    fn run_job(&self, index: u32, job: &PreloadJob, run_one: RunOne) -> io::Result<()> {
        send_patiently(&self.socket, &Reply::Stopping(index), &[])?;
        fault_point("on-stop");
        let registration = self.registry.get(job.target).ok_or_else(|| io::Error::other("there is no such target"))?;
        let ended = run_one(registration, &job.arguments, &|_| {});
        let has_value = ended.is_ok();
        let text = ended.or_else(|reason| postcard::to_stdvec(&reason)).map_err(io::Error::other)?;
        let (parcel, memory) = Parcel::pack(&text)?;
        let memory: Vec<_> = memory.iter().map(AsFd::as_fd).collect();
        send_patiently(&self.socket, &Reply::Stopped { index, has_value, parcel }, &memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hooks_take_no_room_in_a_hello() {
        assert!(Hooks::default().is_empty());
        assert!(Hooks::open(None, &mut VecDeque::new()).is_ok_and(|hooks| hooks.is_empty()));
    }
}
