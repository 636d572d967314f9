//! The course of a process besides its jobs: when it began, which of the jobs before and after them it runs, what was told of it.
//! What a worker says of its end is heard here.
//!
//! | its control socket | carries | is watched |
//! |---|---|---|
//! | until it is ready | what it says of its start | by the supervisor |
//! | while it serves | the memory of large payloads, which the link reads | by nobody |
//! | when it has been told to end, or has had all its jobs, and has none | what it says of its end | by the supervisor, where it has something to say |

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::callbacks::Callbacks;
use super::core::Core;
use super::events::EventKind;
use super::member::{Fate, Process, State};
use super::shared::Shared;
use super::stop_jobs::{HowItWent, StopOutcome};
use super::supervisor::{Supervisor, reply_key};
use crate::error::{Death, DidRun, EndReason, HowItEnded, Phase};
use crate::start::{Reply, StartMethod, how, read_reply};
use crate::sys::{Exit, is_own_want};

/// What is noted of a process.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// When it was there.
    born: Option<Instant>,
    /// It has said that it is ready.
    pub(super) is_ready: bool,
    /// The `on_start` job that it runs.
    pub(super) starting: Option<u32>,
    /// Its socket is watched for what it says of its end.
    is_heard: bool,
    /// The `on_stop` job that it runs, and since when.
    stopping: Option<(u32, Instant)>,
    /// How many of those it has begun.
    stops: u32,
    /// That it is to end was told.
    is_told: bool,
}

impl Process {
    /// It is there.
    pub(super) fn begins(&mut self, callbacks: &Callbacks, method: StartMethod) {
        self.course.born = Some(Instant::now());
        callbacks.emit(|| EventKind::WorkerStarted { worker: Arc::clone(&self.worker), pid: self.pid(), method });
    }

    /// Whether it runs a job that comes before those of the pool.
    pub(super) fn runs_first_job(&self) -> bool {
        self.preloading.is_some() || self.course.starting.is_some()
    }

    /// It takes jobs from now on.
    pub(super) fn tell_ready(&self, callbacks: &Callbacks) {
        let took = self.course.born.map(|born| born.elapsed()).unwrap_or_default();
        callbacks.emit(|| EventKind::WorkerReady { worker: Arc::clone(&self.worker), pid: self.pid(), took });
    }

    /// Tells that it is to end, once.
    pub(super) fn tell_ending(&mut self, callbacks: &Callbacks) {
        if let Some(reason) = self.reason
            && self.course.born.is_some()
            && !std::mem::replace(&mut self.course.is_told, true)
        {
            callbacks.emit(|| EventKind::WorkerEnding { worker: Arc::clone(&self.worker), pid: self.pid(), reason });
        }
    }

    /// Tells that it has ended, if it ever began; `exit` where that is known.
    pub(super) fn tell_end(&mut self, callbacks: &Callbacks, exit: Option<Exit>) {
        self.tell_ending(callbacks);
        let Some(born) = self.course.born else { return };
        callbacks.emit(|| EventKind::WorkerEnded {
            worker: Arc::clone(&self.worker),
            pid: self.pid(),
            reason: self.reason.unwrap_or(EndReason::Died),
            how: exit.map_or(HowItEnded::Unknown, how),
            jobs: self.jobs_done,
            lifetime: born.elapsed(),
        });
    }

    /// Whether it says nothing more on its control socket than what is to be said of its end.
    fn is_at_its_end(&self) -> bool {
        self.course.is_ready && self.in_flight.is_empty() && !matches!(self.fate, Some(Fate::Damaged(_)))
    }

    /// Takes in what it says of its end. An error is what no worker says.
    fn note_end(&mut self, reply: Reply, memory: VecDeque<OwnedFd>, shared: &Shared) -> Result<(), &'static str> {
        let (now, hooks) = (Instant::now(), &shared.hooks);
        let time = match (reply, self.course.stopping) {
            (Reply::Stopping(index), None) if index == self.course.stops && hooks.jobs.stop.len() > index as usize => {
                (self.course.stops, self.course.stopping) = (index + 1, Some((index, now)));
                hooks.stop_timeout
            }
            (Reply::Stopped { index, has_value, parcel }, Some((known, _))) if index == known => {
                self.course.stopping = None;
                self.stop_job_ended(index, HowItWent::Told { has_value, parcel, memory }, shared);
                shared.settings.grace
            }
            _ => return Err("said at its end what no worker says"),
        };
        if let State::Stopping { deadline } = &mut self.state {
            *deadline = now.checked_add(time);
        }
        Ok(())
    }

    fn stop_job_ended(&self, index: u32, how: HowItWent, shared: &Shared) {
        let (worker, pid, index) = (Arc::clone(&self.worker), self.pid(), index as usize);
        shared.callbacks.stopped(StopOutcome { worker, pid, index, how });
    }

    /// After its death: with what the `on_stop` job ends that it ran.
    fn end_stop_job(&mut self, exit: Exit, stderr: &[String], shared: &Shared) {
        let Some((index, since)) = self.course.stopping.take() else { return };
        let death = Death {
            worker: self.worker.to_string(),
            pid: self.pid(),
            how: how(exit),
            out_of_memory: if exit.signal() == Some(9) && self.fate.is_none() { None } else { Some(false) },
            phase: Phase::Running,
            did_run: DidRun::Maybe,
            target: shared.callbacks.stop_target(index as usize),
            job: 0,
            attempt: 1,
            elapsed: since.elapsed(),
            max_rss: exit.max_rss,
            stderr: stderr.to_vec(),
            tag: None,
            reason: self.reason.unwrap_or(EndReason::Died),
            ended_by_pool: self.fate.as_ref().map(|_| "its time was over".to_owned()),
        };
        self.stop_job_ended(index, HowItWent::Died(Box::new(death)), shared);
    }
}

impl Supervisor {
    /// Tells of the processes that are to end, and listens to those that are about to.
    pub(super) fn follow_ends(&self, core: &mut Core) {
        let (listens, hears) = (self.shared.callbacks.listens(), !self.shared.hooks.jobs.stop.is_empty());
        if !listens && !hears {
            return;
        }
        for process in core.all_processes_mut() {
            process.tell_ending(&self.shared.callbacks);
            let is_ending = matches!(process.state, State::Stopping { .. }) && process.is_at_its_end();
            if hears && is_ending && !process.course.is_heard {
                // What is not heard now is heard when it has ended.
                process.course.is_heard = self.poller.watch(&process.link, reply_key(process.incarnation)).is_ok();
            }
        }
    }

    /// Hears what a worker says of its end.
    pub(super) fn hear_end(&self, process: &mut Process) {
        if !process.course.is_heard {
            return;
        }
        loop {
            let said = match read_reply(process.link.socket()) {
                Ok(None) => return,
                Ok(Some((reply, memory))) => process.note_end(reply, memory, &self.shared).map_err(str::to_owned),
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => break,
                Err(error) if is_own_want(&error) => {
                    if let Some((index, _)) = process.course.stopping.take() {
                        process.stop_job_ended(index, HowItWent::Lost(error.to_string()), &self.shared);
                    }
                    Ok(())
                }
                Err(error) => Err(format!("said at its end what cannot be read: {error}")),
            };
            if let Err(what) = said {
                process.kill(Fate::Damaged(what));
                break;
            }
        }
        self.poller.forget(&process.link);
    }

    /// Hears the last that a worker said, which has ended with its responses taken in.
    pub(super) fn hear_last(&self, process: &mut Process, exit: Exit, stderr: &[String]) {
        if !self.shared.hooks.jobs.stop.is_empty() && process.is_at_its_end() {
            process.course.is_heard = true;
            self.hear_end(process);
            process.end_stop_job(exit, stderr, &self.shared);
        }
    }
}
