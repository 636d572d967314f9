//! The settings of a pool, checked before anything is started.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::face::Pool;
use super::preload::{Preload, Preloaded};
use super::settings::Settings;
use super::shared::Shared;
use super::supervisor::Supervisor;
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Target};
use crate::start::{
    Origin, Plan, StartMethod, check_environment, check_name, default_start_method, fork_template, installed, template_for,
    usual_start_method,
};
use crate::sys::{OwnThread, usable_cpus};

/// The most workers that a pool may have.
const MOST_WORKERS: usize = 4096;

/// The environment variable that says how many workers a pool has for which nobody says it.
const VARIABLE: &str = "MPM_WORKERS";

/// The settings of a [`Pool`].
///
/// | setting | default |
/// |---|---|
/// | [`name`](Self::name) | `mpm` |
/// | [`workers`](Self::workers) | the environment variable `MPM_WORKERS`, else the CPUs that affinity and cgroup quota leave to this process |
/// | [`queue`](Self::queue) | 1024 jobs |
/// | [`env`](Self::env) | this process's environment, as it is when the pool is built |
/// | [`cwd`](Self::cwd) | this process's working directory, as it is when the pool is built |
/// | [`start`](Self::start) | as [`start_method`](crate::start_method) says: `ForkServer` |
/// | [`max_jobs`](Self::max_jobs) | 0: workers are not replaced |
/// | [`preload`](Self::preload) | nothing |
/// | [`limit_concurrency`](Self::limit_concurrency) | as many jobs of a target at once as there are workers |
/// | [`limit_rate`](Self::limit_rate) | as many starts as there can be |
/// | [`round_robin`](Self::round_robin) | no: a job goes to whoever is free |
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
    pub(super) settings: Settings,
    workers: Option<usize>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    preload: Preload,
    start: Option<StartMethod>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let settings = Settings::default();
        Self { settings, workers: None, env: Vec::new(), cwd: None, preload: Preload::default(), start: None }
    }

    /// The pool's name. Its workers are called `name-0`, `name-1`, … in reports, messages and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many worker processes the pool keeps, from 1 to 4096. They are started by `build`.
    ///
    /// Where nobody says, the environment variable `MPM_WORKERS` does, with a number from 1 to 4096; anything else in it makes
    /// `build` fail. Where that is not set or empty, it is the number of CPUs that affinity and cgroup quota leave to this process.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
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
        self.env.retain(|(known, _)| *known != key);
        self.env.push((key, value.as_ref().to_owned()));
        self
    }

    /// The directory in which the workers run their jobs.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// How the workers are started. A method that is named here is used or `build` or the first job fails; the default one
    /// gives way to [`Spawn`](StartMethod::Spawn) where the program has threads before it comes to `init`.
    pub fn start(mut self, method: StartMethod) -> Self {
        self.start = Some(method);
        self
    }

    /// After so many jobs a worker is replaced by a fresh one; 0 for never. The next one is started while the last job runs, and in a
    /// pool with one job a worker already before that, where jobs wait.
    ///
    /// `max_jobs(1)` is a process for each job: nothing of one job is left for the next.
    pub fn max_jobs(mut self, jobs: u64) -> Self {
        self.settings.max_jobs = jobs;
        self
    }

    /// Runs a job before there are workers: to load what all of them need. May be called several times; the jobs run in this
    /// order.
    ///
    /// With [`ForkServer`](StartMethod::ForkServer) and [`Fork`](StartMethod::Fork) it runs once, in the template, on a
    /// thread that ends with it. What it leaves in statics, all workers have, and share its memory until one of them writes
    /// there. With [`Spawn`](StartMethod::Spawn) it runs in each worker before that takes jobs.
    ///
    /// A job that panics, fails or takes longer than [`start_timeout`](Self::start_timeout) makes the pool fail with that
    /// reason; so does one that leaves threads running in a template.
    ///
    /// ```
    /// use std::sync::OnceLock;
    ///
    /// use mpm::{Pool, worker};
    ///
    /// static TABLE: OnceLock<Vec<u64>> = OnceLock::new();
    ///
    /// #[worker]
    /// fn load(len: usize) {
    ///     TABLE.get_or_init(|| (0..len as u64).map(|n| n * n).collect());
    /// }
    ///
    /// #[worker]
    /// fn look_up(n: usize) -> u64 {
    ///     TABLE.get().map_or(0, |table| table[n])
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(2).preload(load::job(1_000)).build()?;
    ///     assert_eq!(pool.run(look_up::job(30))?, 900);
    ///     Ok(())
    /// }
    /// ```
    pub fn preload<F: Target<Output: Preloaded>>(mut self, job: Job<'_, F>) -> Self {
        self.preload.add(&job);
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
    /// When a setting cannot be used, when [`mpm::init`](crate::init) has not run, when two targets have one name, when this
    /// process shall be forked and has other threads, or when the system has no thread or descriptor left. No process is left
    /// then.
    pub fn build(self) -> Result<Pool> {
        self.build_with(false)
    }

    /// As [`build`](Self::build), but forks this process even if it has other threads, where the start method is
    /// [`Fork`](StartMethod::Fork).
    ///
    /// # Safety
    /// As for [`isolate_despite_threads`](crate::isolate_despite_threads): the jobs of the pool, and everything that runs in its workers, must
    /// not depend on what other threads of this process may have left half done or locked.
    ///
    /// # Errors
    /// As [`build`](Self::build), but for the threads.
    #[expect(unsafe_code, reason = "the caller promises what cannot be checked")]
    pub unsafe fn build_despite_threads(self) -> Result<Pool> {
        self.build_with(true)
    }

    fn build_with(self, promised: bool) -> Result<Pool> {
        let Self { mut settings, workers, env, cwd, preload, start } = self;
        settings.workers = workers.map_or_else(default_workers, Ok)?;
        check(&settings, &env)?;
        installed()?;
        let chosen = start.map_or_else(default_start_method, |method| Ok(Some(method)))?;
        settings.method = chosen.unwrap_or_else(usual_start_method);
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        settings.limits.iter_mut().try_for_each(|limits| limits.resolve(registry))?;
        let system = |what: &'static str| move |e: std::io::Error| Error::new(Kind::System, what).because(e);
        let plan = Plan::new(&env, cwd.as_ref(), preload.resolve(registry)?);
        let method = settings.method;
        let origin = match method {
            StartMethod::Spawn => Origin::Spawn,
            StartMethod::ForkServer => Origin::Template(template_for(&plan)),
            StartMethod::Fork => Origin::Template(fork_template(&plan, registry, promised)?),
        };
        let shared = Arc::new(Shared::new(settings, plan, registry).map_err(system("make the pool's doorbell"))?);
        let supervisor = Supervisor::new(Arc::clone(&shared), origin, method, chosen.is_some());
        let supervisor = supervisor.map_err(system("make the pool's poller"))?;
        let thread = OwnThread::spawn("mpm-pool", move |own| supervisor.run(&own));
        let thread = thread.map_err(system("start the pool's supervisor thread"))?;
        Ok(Pool::from_parts(shared, thread))
    }
}

/// As many as the environment says, or as there are CPUs.
fn default_workers() -> Result<usize> {
    let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(usable_cpus().min(MOST_WORKERS));
    };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| (1..=MOST_WORKERS).contains(number));
    number.ok_or_else(|| {
        let text = format!("environment variable {VARIABLE}={text:?}: a pool has from 1 to {MOST_WORKERS} workers");
        Error::new(Kind::Setting, text)
    })
}

fn check(settings: &Settings, env: &[(OsString, OsString)]) -> Result<()> {
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
    check_name("Builder::name", &settings.name)?;
    check_environment("Builder::env", env)
}
