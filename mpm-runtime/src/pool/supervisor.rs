//! The one thread that acts for a pool: starts members, takes in their responses, buries them, ends them.
//!
//! It sleeps in one epoll over the doorbell, the members' exits (pidfds) and, until they are ready, their sockets; it
//! wakes for nothing else but the next deadline. A turn takes in everything that has happened, then acts, then computes
//! when it must act again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::deadlines::{enforce_deadlines, next_deadline};
use super::ending;
use super::member::{Fate, Process, State, how};
use super::policy::{AfterFailedStart, FailedStart, after_failed_start};
use super::shared::{Shared, Started};
use crate::error::{Error, Kind, WorkerExit};
use crate::start::{Offer, Reply, Spawn, StartMethod, flush_stderr, prepare, read_reply, start_in_background};
use crate::sys::{Poller, block_all_signals, oom_kills};

/// A worker that dies within this time after it was ready, without a job, may be one of many that will.
const EARLY: Duration = Duration::from_secs(1);

/// Keys of the poller: the doorbell, then two for each incarnation.
const DOORBELL: u64 = 0;
const fn exit_key(incarnation: u64) -> u64 {
    incarnation * 2
}
const fn reply_key(incarnation: u64) -> u64 {
    incarnation * 2 + 1
}

#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    poller: Poller,
    method: Arc<dyn StartMethod>,
    last_incarnation: u64,
    /// A start has failed in this turn: further failures of the turn have the same cause.
    failed_now: bool,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let poller = Poller::new()?;
        for fd in shared.doorbell.as_fds() {
            poller.watch(fd, DOORBELL)?;
        }
        Ok(Self { shared, poller, method: Arc::new(Spawn), last_incarnation: 0, failed_now: false })
    }

    /// Runs until the pool has ended.
    pub(super) fn run(mut self) {
        block_all_signals();
        let ran = catch_unwind(AssertUnwindSafe(|| self.turns()));
        // A panic here is a bug of mpm's. Nobody shall wait for ever because of it.
        let reason: Option<Arc<str>> = match ran {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("its supervisor cannot wait for events: {error}").into()),
            Err(_) => Some("its supervisor panicked; this is a bug in mpm".into()),
        };
        self.shared.with_core(|core| {
            if let Some(reason) = &reason {
                core.fail(reason);
                ending::abandon(core, reason);
            }
            core.ended = true;
        });
        flush_stderr();
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut ready = vec![DOORBELL];
        loop {
            let shared = Arc::clone(&self.shared);
            let (ended, wake_at) = shared.with_core(|core| self.turn(core, &ready));
            if ended {
                return Ok(());
            }
            if !shared.with_core(Core::arm) {
                ready = Vec::new();
                continue;
            }
            ready = self.poller.wait(wake_at.map(|at| at.saturating_duration_since(Instant::now())))?;
        }
    }

    fn turn(&mut self, core: &mut Core, ready: &[u64]) -> (bool, Option<Instant>) {
        self.failed_now = false;
        if ready.contains(&DOORBELL) {
            self.shared.doorbell.clear();
        }
        while let Some(started) = self.shared.next_started() {
            self.adopt(core, started);
        }
        core.disarm();
        core.drain();
        for key in ready.iter().filter(|key| **key != DOORBELL) {
            let slot = core.members.iter().position(|m| m.process.as_ref().is_some_and(|p| p.incarnation == key / 2));
            let Some(slot) = slot else { continue };
            if key % 2 == 0 { self.bury(core, slot) } else { self.hear(core, slot) }
        }
        let now = Instant::now();
        enforce_deadlines(core, now, self.shared.settings.start_timeout);
        if let Some(ending) = core.ending {
            ending::proceed(core, ending, now, self.shared.settings.grace);
        }
        self.fill_slots(core, now);
        core.dispatch();
        let ended = core.ending.is_some() && core.processes().next().is_none() && core.waiting == 0;
        (ended, next_deadline(core))
    }

    /// Takes a process from the starting thread.
    fn adopt(&mut self, core: &mut Core, (incarnation, child): Started) {
        let Some(slot) = core.members.iter().position(|m| m.process.as_ref().is_some_and(|p| p.incarnation == incarnation)) else {
            return;
        };
        let Some(process) = core.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return };
        let watched = child.and_then(|child| {
            self.poller.watch(&child, exit_key(incarnation))?;
            self.poller.watch(&process.link, reply_key(incarnation))?;
            Ok(child)
        });
        match watched {
            Ok(child) => {
                if process.fate.is_some() {
                    child.kill_group();
                }
                process.child = Some(child);
            }
            Err(error) => {
                let error = Error::new(Kind::System, format!("start worker {}", process.worker)).because(error);
                self.vacate(core, slot);
                self.start_failed(core, slot, FailedStart::Passing, &error);
            }
        }
    }

    /// Reads what a starting worker says.
    fn hear(&self, core: &mut Core, slot: usize) {
        let Core { members, failures, .. } = core;
        let Some(process) = members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return };
        match read_reply(process.link.socket()) {
            Ok(None) => return,
            Ok(Some(Reply::Ready)) => {
                if matches!(process.state, State::Starting { .. }) {
                    process.state = State::Ready { since: Instant::now() };
                    *failures = 0;
                }
            }
            Ok(Some(Reply::Refused(reason))) => process.refused = Some(reason),
            // The other end is closed: its exit, which comes now, tells why. That is no refusal, after which no other
            // worker would be tried.
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {}
            Err(error) => process.kill(Fate::Unready(format!("sent a handshake that cannot be read: {error}"))),
        }
        self.poller.forget(&process.link);
    }

    /// Deals with a process that has exited: its jobs, its report, its slot.
    fn bury(&mut self, core: &mut Core, slot: usize) {
        let Core { members, outcomes, mean, .. } = core;
        let Some(process) = members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return };
        let Some(exit) = process.child.as_mut().and_then(crate::sys::Child::try_reap) else { return };
        if matches!(process.state, State::Starting { .. })
            && let Ok(Some(Reply::Refused(reason))) = read_reply(process.link.socket())
        {
            process.refused = Some(reason);
        }
        // What it sent before its death counts: a result that is there wins over the death.
        process.drain(outcomes, mean);
        let stderr = process.capture.finish();
        let before = outcomes.len();
        let payloads = process.dies(exit, &stderr, outcomes);
        let killed_jobs = outcomes.len() > before;
        let unstarted = process.reunite(payloads);
        let useful = killed_jobs || process.jobs_done > 0;
        let expected = matches!(process.fate, Some(Fate::Ended(_))) || matches!(process.state, State::Stopping { .. });
        let refused = process.refused.is_some() || exit.code == Some(WorkerExit::TokenSpent.code());
        let kind = match process.state {
            State::Ready { since } => FailedStart::WasReady { early: since.elapsed() < EARLY },
            _ if refused => FailedStart::Lasting,
            _ => FailedStart::Passing,
        };
        let error = failed_start(process, exit, stderr);
        if let Some(child) = &process.child {
            // A process that the user forked may hold the same description: closing it would not end its events.
            self.poller.forget(child);
        }
        core.requeue(unstarted);
        self.vacate(core, slot);
        if !useful && !expected {
            self.start_failed(core, slot, kind, &error);
        }
    }

    /// Decides what to do about a process that was of no use.
    fn start_failed(&mut self, core: &mut Core, slot: usize, kind: FailedStart, error: &Error) {
        let count = if let FailedStart::WasReady { early } = kind {
            core.early_deaths = if early { core.early_deaths + 1 } else { 0 };
            core.early_deaths
        } else {
            core.failures += u32::from(!self.failed_now);
            self.failed_now = true;
            core.failures
        };
        let promising = core.processes().filter(|p| p.is_promising()).count();
        match after_failed_start(kind, count, promising) {
            AfterFailedStart::GiveUp => core.fail(&error.to_string().into()),
            AfterFailedStart::RetryAfter(wait) => {
                if let Some(member) = core.members.get_mut(slot) {
                    member.not_before = Instant::now().checked_add(wait);
                }
            }
        }
    }

    /// Lets go of a process and of its place in the poller.
    fn vacate(&self, core: &mut Core, slot: usize) {
        if let Some(process) = core.members.get_mut(slot).and_then(|m| m.process.take()) {
            self.poller.forget(&process.link);
        }
    }

    /// Starts a process in every slot that shall have one.
    fn fill_slots(&mut self, core: &mut Core, now: Instant) {
        if !core.wants_processes() {
            return;
        }
        for slot in 0..core.members.len() {
            let empty = core.members.get(slot).is_some_and(|m| m.process.is_none() && m.not_before.is_none_or(|at| at <= now));
            if empty && let Err(error) = self.start(core, slot, now) {
                self.start_failed(core, slot, FailedStart::Passing, &error);
                // What was wanting here will be wanting for the others; each tries again at its time.
                return;
            }
        }
    }

    fn start(&mut self, core: &mut Core, slot: usize, now: Instant) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let Some(member) = core.members.get_mut(slot) else { return Ok(()) };
        member.not_before = None;
        let worker: Arc<str> = format!("{}-{}", settings.name, member.slot).into();
        let offer = Offer {
            worker: &worker,
            env: &settings.env,
            cwd: settings.cwd.as_deref(),
            doorbell: &self.shared.doorbell,
            registry: self.shared.registry,
        };
        let oom_kills_before = oom_kills();
        let failed = |what: String| move |e: io::Error| Error::new(Kind::System, what).because(e);
        let (link, capture, launch) =
            prepare(&offer).map_err(|e| Error::new(Kind::System, format!("start worker {worker}")).because(e))?;
        self.last_incarnation += 1;
        let incarnation = self.last_incarnation;
        let shared = Arc::clone(&self.shared);
        start_in_background(Arc::clone(&self.method), launch, move |child| shared.deliver((incarnation, child)))
            .map_err(failed(format!("start worker {worker}")))?;
        member.process = Some(Process {
            incarnation,
            worker,
            state: State::Starting { deadline: now.checked_add(settings.start_timeout) },
            link,
            capture,
            child: None,
            in_flight: std::collections::VecDeque::new(),
            jobs_done: 0,
            oom_kills_before,
            fate: None,
            refused: None,
            last_used: 0,
            spent: false,
            lookers: 0,
        });
        Ok(())
    }
}

/// The error of a worker that ended before it was of any use.
fn failed_start(process: &Process, exit: crate::sys::Exit, stderr: Vec<String>) -> Error {
    let (worker, pid) = (&process.worker, process.pid());
    let reason = match (&process.refused, &process.fate) {
        (Some(reason), _) => format!("worker {worker} (pid {pid}) refused to start: {reason}"),
        (None, Some(Fate::Unready(reason))) => format!("worker {worker} (pid {pid}) {reason}"),
        _ if matches!(process.state, State::Starting { .. }) => {
            format!("worker {worker} (pid {pid}) {} before it was ready; does main() begin with mpm::init()?", how(exit))
        }
        _ => format!("worker {worker} (pid {pid}) {} before it did a job", how(exit)),
    };
    Error::new(Kind::System, reason).with_stderr(stderr)
}
