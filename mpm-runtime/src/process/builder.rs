//! The settings of a single process, and its start.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::active;
use super::handle::Process;
use super::running::{Identity, Running};
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Target};
use crate::start::{
    Capture, ChildProcess, Failure, FailureKind, Launch, Origin, Plan, Preload, Reply, SingleOffer, StartMethod, check_environment,
    check_name, current_process, default_start_method, fork_process, installed, kill_minded, mind, next_ticket, prepare_single,
    put_aside, read_reply, template_for,
};
use crate::sys::{Socket, readable_until};

/// How long a new process may take until it has its job, unless chosen otherwise.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a [`Process`].
///
/// | setting | default |
/// |---|---|
/// | [`name`](Self::name) | `process-1`, `process-2`, … |
/// | [`start_method`](Self::start_method) | as [`start_method`](crate::start_method) says: `ForkServer` |
/// | [`daemon`](Self::daemon) | as the process that starts it is: not one in `main` |
/// | [`env`](Self::env), [`cwd`](Self::cwd) | this process's, as they are at the start |
/// | [`stdin`](Self::stdin) | `/dev/null` |
/// | [`stdout`](Self::stdout) | this process's |
/// | [`stderr`](Self::stderr) | passed on to this process's, and the last lines kept for reports |
/// | [`start_timeout`](Self::start_timeout) | 60 seconds |
#[must_use = "a builder does nothing until `start`"]
pub struct ProcessBuilder<'a, F: Target> {
    job: Job<'a, F>,
    name: Option<String>,
    method: Option<StartMethod>,
    daemon: Option<bool>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    streams: [Option<OwnedFd>; 3],
    timeout: Duration,
}

impl<'a, F: Target> ProcessBuilder<'a, F> {
    pub(super) fn new(job: Job<'a, F>) -> Self {
        let streams = [const { None }; 3];
        Self { job, name: None, method: None, daemon: None, env: Vec::new(), cwd: None, streams, timeout: START_TIMEOUT }
    }

    /// Its name in reports, messages and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How it is started. A method that is named here is used or `start` fails; the default one gives way to
    /// [`Spawn`](StartMethod::Spawn) where the program has threads before it comes to `init`.
    ///
    /// By [`Fork`](StartMethod::Fork) it has everything that this process has at the moment of `start`, and is a child of this process
    /// itself.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Whether it ends with this program. A daemon is killed when this program ends; for others this program waits when `main` returns or
    /// `exit` is called.
    ///
    /// A process that is not told is what the one that starts it is. Workers of pools are daemons: what they start ends with them.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = Some(daemon);
        self
    }

    /// Sets a variable in its environment. This process's own stays as it is.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let key = key.as_ref().to_owned();
        self.env.retain(|(known, _)| *known != key);
        self.env.push((key, value.as_ref().to_owned()));
        self
    }

    /// The directory in which it runs its job.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// What it reads from: a file, or an end of a pipe ([`std::io::pipe`]).
    pub fn stdin(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[0] = Some(stream.into());
        self
    }

    /// Where it prints to, from its job on.
    pub fn stdout(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[1] = Some(stream.into());
        self
    }

    /// Where it writes errors to. Reports of its death have no last lines then.
    pub fn stderr(mut self, stream: impl Into<OwnedFd>) -> Self {
        self.streams[2] = Some(stream.into());
        self
    }

    /// How long it may take until it begins with its job. One that takes longer is killed, and the start fails.
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Starts it, and returns when it is about to run its job.
    ///
    /// # Errors
    /// When a setting cannot be used or the arguments cannot be encoded; when [`mpm::init`](crate::init) has not run; when this process
    /// shall be forked and has other threads; when the system has no process or descriptor left; when the new process ends or hangs before
    /// it comes to its job, with its exit and its last lines.
    pub fn start(self) -> Result<Process<F::Output>> {
        self.start_with(false)
    }

    /// As [`start`](Self::start), but forks this process even if it has other threads, where the start method is
    /// [`Fork`](StartMethod::Fork).
    ///
    /// # Safety
    /// As for [`isolate_despite_threads`](crate::isolate_despite_threads): the job, and everything that runs in the process for it, must
    /// not depend on what other threads of this process may have left half done or locked.
    #[expect(unsafe_code, reason = "the caller promises what cannot be checked")]
    pub unsafe fn start_despite_threads(self) -> Result<Process<F::Output>> {
        self.start_with(true)
    }

    fn start_with(self, promised: bool) -> Result<Process<F::Output>> {
        let Self { job, name, method, daemon, env, cwd, streams, timeout } = self;
        installed()?;
        let name: Arc<str> = name.unwrap_or_else(next_name).into();
        check_name("Process::name", &name)?;
        check_environment("Process::env", &env)?;
        let refuse = |reason: String| Error::new(Kind::Setting, format!("process {name}: job `{}`: {reason}", F::NAME));
        let arguments = job.encode_caught().map_err(refuse)?;
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        let target = registry.find(F::NAME).map_err(|e| Error::new(Kind::Registry, format!("process {name}")).because(e))?;
        let chosen = method.map_or_else(default_start_method, |method| Ok(Some(method)))?;
        let start = Start {
            name,
            target: F::NAME,
            index: target,
            arguments,
            daemon: daemon.unwrap_or_else(|| current_process().is_daemon()),
            streams,
            plan: Plan::new(&env, cwd.as_ref(), Preload::default()),
            registry,
            until: Instant::now().checked_add(timeout),
            timeout,
            promised,
        };
        let running = start.run(chosen.unwrap_or_default(), chosen.is_some())?;
        Ok(Process::new(running, F::decode_output))
    }
}

fn next_name() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the number counts.
    format!("process-{}", LAST.fetch_add(1, Ordering::Relaxed) + 1)
}

/// A start under way.
struct Start {
    name: Arc<str>,
    target: &'static str,
    index: u32,
    arguments: Vec<u8>,
    daemon: bool,
    streams: [Option<OwnedFd>; 3],
    plan: Arc<Plan>,
    registry: &'static Registry,
    until: Option<Instant>,
    timeout: Duration,
    promised: bool,
}

impl Start {
    fn run(&self, method: StartMethod, chosen: bool) -> Result<Arc<Running>> {
        let offer = SingleOffer {
            name: &self.name,
            plan: &self.plan,
            method,
            daemon: self.daemon,
            target: self.index,
            arguments: &self.arguments,
            streams: &self.streams,
            registry: self.registry,
        };
        let (socket, capture, launch) = prepare_single(&offer).map_err(|e| self.failed(e))?;
        let child = match method {
            StartMethod::Fork => fork_process(launch, self.promised).map(ChildProcess::Own).map_err(Failure::passing),
            StartMethod::Spawn => self.order(&Origin::Spawn, launch),
            StartMethod::ForkServer => {
                let template = template_for(&self.plan);
                let started = self.order(&Origin::Template(Arc::clone(&template)), launch);
                put_aside(template);
                started
            }
        };
        match child {
            Ok(child) => self.see_it_begin(child, method, socket, capture),
            Err(failure) if failure.kind == FailureKind::HasThreads && !chosen => self.run(StartMethod::Spawn, true),
            Err(failure) => Err(self.failed(failure.error)),
        }
    }

    /// Has the starting thread start it.
    fn order(&self, origin: &Origin, launch: Launch) -> Result<ChildProcess, Failure> {
        let (send, receive) = mpsc::sync_channel(1);
        let then = Box::new(move |started| drop(send.send(started)));
        let ordered = origin.start(launch, next_ticket(), self.timeout, then);
        ordered.map_err(|e| Failure::passing(Error::new(Kind::System, "start the starting thread").because(e)))?;
        receive.recv().unwrap_or_else(|_| Err(Failure::passing(Error::new(Kind::System, "the starting thread has ended"))))
    }

    /// Waits until the process has its job.
    fn see_it_begin(
        &self,
        child: ChildProcess,
        method: StartMethod,
        socket: Socket,
        capture: Option<Capture>,
    ) -> Result<Arc<Running>> {
        let system = |e: std::io::Error| self.failed(Error::new(Kind::System, "watch it").because(e));
        let pidfd = child.pidfd().try_clone().map_err(system)?;
        let identity = Identity { name: Arc::clone(&self.name), target: self.target, method, daemon: self.daemon };
        let running = Arc::new(Running::new(identity, child.pid(), pidfd, socket, capture));
        active::add(&running);
        let minded = Arc::clone(&running);
        let then = Box::new(move |exit| {
            active::remove(&minded);
            minded.note_end(exit);
        });
        let number = mind(child, then).map_err(|e| {
            active::remove(&running);
            system(e)
        })?;
        running.is_minded_as(number);
        match self.hear(&running) {
            Ok(()) => Ok(running),
            Err(reason) => {
                // One that refuses ends by itself, and writes why.
                running.wait(self.until);
                kill_minded(number);
                let how = running.wait(None);
                let text = reason.unwrap_or_else(|| match how {
                    Some(how) => format!("it {how} before it had its job; does main() begin with mpm::init()?"),
                    None => "it ended before it had its job".to_owned(),
                });
                let pid = running.pid;
                Err(Error::new(Kind::System, format!("start process {} (pid {pid}): {text}", self.name))
                    .with_stderr(running.last_words()))
            }
        }
    }

    /// Hears whether it begins, and why not if it says so.
    fn hear(&self, running: &Running) -> Result<(), Option<String>> {
        loop {
            // Asked first: what it said before its end is there when that is seen.
            let has_ended = running.pidfd.has_ended();
            match read_reply(running.socket()) {
                Ok(Some((Reply::Ready, _))) => return Ok(()),
                Ok(Some((Reply::Refused(reason) | Reply::HasThreads(reason), _))) => {
                    return Err(Some(format!("it refused to start: {reason}")));
                }
                Ok(Some(_)) => {}
                Ok(None) if has_ended => return Err(None),
                Ok(None) => match readable_until(&[running.socket().as_fd(), running.pidfd.as_fd()], self.until) {
                    Ok(true) => {}
                    Ok(false) => {
                        return Err(Some(format!(
                            "it was not ready within {:?}; does main() begin with mpm::init()?",
                            self.timeout
                        )));
                    }
                    Err(error) => return Err(Some(format!("it cannot be waited for: {error}"))),
                },
                Err(_) => return Err(None),
            }
        }
    }

    fn failed(&self, error: Error) -> Error {
        Error::new(error.kind(), format!("start process {}", self.name)).because(error)
    }
}

impl<F: Target> fmt::Debug for ProcessBuilder<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessBuilder").field("job", &self.job).field("name", &self.name).finish_non_exhaustive()
    }
}
