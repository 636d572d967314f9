//! The settings of a single process, and its start.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::handle::Process;
use super::start::Start;
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Target};
use crate::start::{
    Plan, Preload, StartMethod, check_depth, check_environment, check_name, current_process, default_start_method, installed,
    usual_start_method,
};

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
    ///
    /// A process that is started by [`Fork`](StartMethod::Fork) has all open files of this one, the writing end of its own pipe among them:
    /// it never sees the end of a pipe whose writing end was open here when it was started.
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
    ///
    /// # Errors
    /// As [`start`](Self::start), but for the threads.
    #[expect(unsafe_code, reason = "the caller promises what cannot be checked")]
    pub unsafe fn start_despite_threads(self) -> Result<Process<F::Output>> {
        self.start_with(true)
    }

    fn start_with(self, promised: bool) -> Result<Process<F::Output>> {
        let Self { job, name, method, daemon, env, cwd, streams, timeout } = self;
        installed()?;
        let name: Arc<str> = name.unwrap_or_else(next_name).into();
        check_depth(&format!("start process {name}"))?;
        check_name("ProcessBuilder::name", &name)?;
        check_environment("ProcessBuilder::env", &env)?;
        let refuse = |reason: String| Error::new(Kind::Setting, format!("process {name}: job `{}`: {reason}", F::NAME));
        let arguments = job.encode_caught().map_err(refuse)?;
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        let target = registry.index_of::<F>().map_err(|e| Error::new(Kind::Registry, format!("process {name}")).because(e))?;
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
        let running = start.run(chosen.unwrap_or_else(usual_start_method), chosen.is_some())?;
        Ok(Process::new(running, F::decode_output))
    }
}

fn next_name() -> String {
    static LAST: Mutex<u64> = Mutex::new(0);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last += 1;
    format!("process-{last}")
}

impl<F: Target> fmt::Debug for ProcessBuilder<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessBuilder").field("job", &self.job).field("name", &self.name).finish_non_exhaustive()
    }
}
