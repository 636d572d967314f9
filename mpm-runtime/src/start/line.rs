//! A running template: how it is started by exec, and how its replies and answers are heard.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::handshake::{Answer, Duty, Reply, read_reply, receive_short};
use super::launch::{greet, hello, ties};
use super::method::StartMethod;
use super::plan::Plan;
use super::process::{ChildProcess, Forked};
use super::recipe::{Role, installed};
use super::served::Reap;
use super::starter::{Failure, FailureKind, Started, Then, reap_in_background};
use super::stderr::{Capture, capture_stderr};
use super::template::Template;
use crate::error::{Error, Kind};
use crate::link::sync::{AtomicBool, Ordering};
use crate::registry::Registry;
use crate::sys::{Child, Exit, Pidfd, Poller, Socket, SpawnRequest, spawn};

/// A request that a template has.
pub(super) enum Sent {
    Fork {
        ticket: u64,
        template: Arc<Template>,
        limit: Duration,
        /// When its template is late with it.
        until: Option<Instant>,
        /// When it fails; earlier than that, once it is not wanted any more.
        fails_at: Option<Instant>,
        then: Option<Then<Started>>,
    },
    Reap(Reap),
}

/// Whether a template still runs that was started once, and how it ended; each start of one has its own.
#[derive(Clone, Debug)]
pub(crate) struct Run(Arc<Life>);

#[derive(Debug)]
struct Life {
    is_on: AtomicBool,
    end: OnceLock<Arc<str>>,
}

impl Run {
    pub(super) fn is_on(&self) -> bool {
        // Relaxed: whoever asks can be answered a moment too late in any case.
        self.0.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self, reason: &str) {
        drop(self.0.end.set(reason.into()));
        self.0.is_on.store(false, Ordering::Relaxed);
    }

    /// Whether these are one and the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How it ended, once that is known.
    pub(crate) fn end(&self) -> Option<Arc<str>> {
        self.0.end.get().cloned()
    }
}

/// A running template.
pub(super) struct Line {
    pub(super) child: Child,
    pub(super) run: Run,
    pub(super) socket: Socket,
    pub(super) capture: Capture,
    pub(super) serving: bool,
    /// It has forked a worker.
    pub(super) proven: bool,
    pub(super) preloading: Option<u32>,
    pub(super) refused: Option<(String, FailureKind)>,
    pub(super) sent: VecDeque<Sent>,
    /// When it was last seen to get on: it became ready, or answered.
    pub(super) progress: Instant,
}

/// Keys of the poller: two for each template.
pub(super) const fn exit_key(template: u64) -> u64 {
    template * 2
}

pub(super) const fn socket_key(template: u64) -> u64 {
    template * 2 + 1
}

impl Line {
    pub(super) fn new(child: Child, socket: Socket, capture: Capture) -> Self {
        let run = Run(Arc::new(Life { is_on: AtomicBool::new(true), end: OnceLock::new() }));
        let (serving, proven, preloading, refused, sent) = (false, false, None, None, VecDeque::new());
        Self { child, run, socket, capture, serving, proven, preloading, refused, sent, progress: Instant::now() }
    }

    /// Starts a template by exec.
    pub(super) fn start(plan: &Plan) -> Result<Self, Error> {
        let system = |what: &'static str| move |e: io::Error| Error::new(Kind::System, what).because(e);
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        let recipe = &installed()?.recipe;
        let (ours, theirs) = Socket::pair().map_err(system("make a socket for the template"))?;
        let (capture, stderr) = capture_stderr().map_err(system("make the standard error of the template"))?;
        let (hello, beside) = hello("mpm-template", plan, StartMethod::ForkServer, Duty::Template, registry)?;
        greet(&ours, &hello, Some(&*ties()?), &[], &beside)?;
        let request = SpawnRequest {
            argv: &recipe.arguments(Role::Template, "mpm-template", hello.nonce),
            env: &plan.environment,
            control: theirs.as_fd(),
            stderr: stderr.as_fd(),
            set_stdout_aside: recipe.prints_first(),
        };
        let child = spawn(&request).map_err(system("start the template"))?;
        Ok(Self::new(child, ours, capture))
    }

    pub(super) fn watch(&self, poller: &Poller, id: u64) -> io::Result<()> {
        poller.watch(&self.child, exit_key(id))?;
        poller.watch(&self.socket, socket_key(id))
    }

    pub(super) fn watched(self, poller: &Poller, id: u64) -> Result<Self, Error> {
        self.watch(poller, id).map(|()| self).map_err(|e| Error::new(Kind::System, "watch the template").because(e))
    }

    pub(super) fn forget(&self, poller: &Poller) {
        // A process that the user forked may hold the same descriptions: closing them would not end their events.
        poller.forget(&self.child);
        poller.forget(&self.socket);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.child.pidfd().has_ended()
    }

    /// The preload job that it runs.
    pub(super) fn preload_job<'a>(&self, plan: &'a Plan) -> Option<&'a str> {
        plan.preload_name(self.preloading?)
    }

    /// Reads one reply; whether there was one.
    pub(super) fn hear_reply(&mut self, plan: &Plan) -> io::Result<bool> {
        let Some((reply, _)) = read_reply(&self.socket)? else { return Ok(false) };
        match reply {
            Reply::Ready => {
                self.serving = true;
                self.progress = Instant::now();
            }
            Reply::Preloading(index) => self.preloading = Some(index),
            Reply::Preloaded(index, result) => {
                self.preloading = None;
                if let Err(reason) = plan.check_preload(index, result) {
                    self.refused = Some((reason, FailureKind::Lasting));
                    self.child.kill_group();
                }
            }
            Reply::Refused(reason) => {
                self.refused =
                    Some((format!("the template (pid {}) refused to start: {reason}", self.child.pid()), FailureKind::Lasting));
            }
            Reply::HasThreads(reason) => self.refused = Some((reason, FailureKind::HasThreads)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(true)
    }

    /// Reads one answer to what was sent first; whether there was one.
    pub(super) fn hear_answer(&mut self) -> io::Result<bool> {
        let answer = match receive_short::<Answer>(&self.socket, true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            other => other?.0,
        };
        self.progress = Instant::now();
        match (self.sent.pop_front(), answer) {
            (Some(Sent::Fork { template, then, .. }), Answer::Forked { pid }) => {
                self.proven = true;
                let forked = match Pidfd::open(pid) {
                    // Asked after that: as long as the template runs, the number is its worker's. Later the system reaps that, which is
                    // told to end, or not to begin.
                    _ if self.has_ended() => {
                        Err(Failure::new("the template died when it had forked the worker", FailureKind::Passing))
                    }
                    Ok(pidfd) => Ok(ChildProcess::Forked(Forked::new(pid, pidfd, Arc::clone(&template), self.run.clone()))),
                    Err(error) => {
                        // It runs, and this process has no room for what would tell of its end.
                        reap_in_background(&template, &self.run, pid, Box::new(drop));
                        Err(Failure::passing(Error::new(Kind::System, "take over a forked worker").because(error)))
                    }
                };
                // One that is not wanted any more is killed and reaped by its drop.
                if let Some(then) = then {
                    then(forked);
                }
            }
            (Some(Sent::Fork { then, .. }), Answer::NotForked(number)) => {
                let error = Error::new(Kind::System, "fork a worker").because(io::Error::from_raw_os_error(number));
                if let Some(then) = then {
                    then(Err(Failure { error, kind: FailureKind::Passing }));
                }
            }
            (Some(Sent::Reap(mut reap)), Answer::Reaped { status, max_rss }) => reap.answer(Some(Exit { status, max_rss })),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(true)
    }
}

/// The other end is closed: its process has died, which is about to be seen.
pub(super) fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}
