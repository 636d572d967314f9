//! The settings of a pool, checked before anything is started.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::face::Pool;
use super::shared::{Settings, Shared};
use super::supervisor::Supervisor;
use crate::error::{Error, Kind, Result};
use crate::registry::Registry;
use crate::start::recipe;
use crate::sys::usable_cpus;

/// How long a worker may take to become ready, unless chosen otherwise: generous, since machines stall.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a pool's name, which stands in every message.
const LONGEST_NAME: usize = 256;

/// The most workers that a pool may have.
const MOST_WORKERS: usize = 4096;

/// The settings of a [`Pool`].
///
/// | setting | default |
/// |---|---|
/// | [`name`](Self::name) | `mpm` |
/// | [`workers`](Self::workers) | the CPUs that affinity and cgroup quota leave to this process |
/// | [`queue`](Self::queue) | 1024 jobs |
/// | [`env`](Self::env) | this process's environment, as it is when a worker starts |
/// | [`cwd`](Self::cwd) | this process's working directory, as it is when a worker starts |
/// | [`grace`](Self::grace) | 2 seconds |
/// | [`start_timeout`](Self::start_timeout) | 60 seconds |
///
/// ```
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = mpm::Pool::builder().name("thumbs").workers(2).queue(64).env("LANG", "C").build()?;
///     pool.join();
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    pub(super) fn new() -> Self {
        let (name, workers, grace) = ("mpm".to_owned(), usable_cpus(), Duration::from_secs(2));
        Self { settings: Settings { name, workers, queue: 1024, env: Vec::new(), cwd: None, grace, start_timeout: START_TIMEOUT } }
    }

    /// The pool's name. Its workers are called `name-0`, `name-1`, … in reports, messages and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many worker processes the pool keeps, from 1 to 4096. They are started by `build`.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// How many jobs may wait for a worker, at least 1. `submit` blocks when as many do, `try_submit` gives the job back.
    pub fn queue(mut self, jobs: usize) -> Self {
        self.settings.queue = jobs;
        self
    }

    /// Sets a variable in the environment of the workers, from their first instruction on. This process's own
    /// environment stays as it is.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let key = key.as_ref().to_owned();
        self.settings.env.retain(|(known, _): &(OsString, OsString)| *known != key);
        self.settings.env.push((key, value.as_ref().to_owned()));
        self
    }

    /// The directory in which the workers run their jobs.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.cwd = Some(directory.into());
        self
    }

    /// How long running jobs may go on when the pool is dropped, and how long a worker that was told to end may take,
    /// before they are killed.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// How long a new worker may take until it is ready for its first job. One that takes longer is killed, which counts
    /// as a failed start.
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.settings.start_timeout = time;
        self
    }

    /// Makes the pool and begins to start its workers. It does not wait for them: a worker that cannot start makes the
    /// jobs fail with the reason.
    ///
    /// # Errors
    /// When a setting cannot be used, when [`mpm::init`](crate::init) has not run, when two targets have one name, or
    /// when the system has no thread or descriptor left. No process has been started then.
    pub fn build(self) -> Result<Pool> {
        check(&self.settings)?;
        recipe()?;
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        let system = |what: &'static str| move |e: std::io::Error| Error::new(Kind::System, what).because(e);
        let shared = Arc::new(Shared::new(self.settings, registry).map_err(system("make the pool's doorbell"))?);
        let supervisor = Supervisor::new(Arc::clone(&shared)).map_err(system("make the pool's poller"))?;
        let thread = thread::Builder::new()
            .name("mpm-pool".to_owned())
            .spawn(move || supervisor.run())
            .map_err(system("start the pool's supervisor thread"))?;
        Ok(Pool::from_parts(shared, thread))
    }
}

fn check(settings: &Settings) -> Result<()> {
    let refuse = |text: String| Err(Error::new(Kind::Setting, text));
    if settings.workers == 0 || settings.workers > MOST_WORKERS {
        return refuse(format!("Builder::workers({}): a pool has from 1 to {MOST_WORKERS} workers", settings.workers));
    }
    if settings.start_timeout.is_zero() {
        return refuse("Builder::start_timeout(0): no worker is ready in no time".to_owned());
    }
    if settings.queue == 0 {
        return refuse("Builder::queue(0): at least one job must be able to wait".to_owned());
    }
    if settings.name.is_empty() || settings.name.len() > LONGEST_NAME || settings.name.contains(char::is_control) {
        let shown: String = settings.name.chars().take(40).collect();
        return refuse(format!("Builder::name({shown:?}): a name has from 1 to {LONGEST_NAME} bytes and no control characters"));
    }
    for (key, value) in &settings.env {
        let (k, v) = (key.as_encoded_bytes(), value.as_encoded_bytes());
        if k.is_empty() || k.contains(&b'=') || k.contains(&0) || v.contains(&0) {
            return refuse(format!(
                "Builder::env({key:?}, {value:?}): a key is not empty, has no `=`, and neither part has a NUL byte"
            ));
        }
    }
    Ok(())
}
