//! The settings of a pool, checked before anything is started.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::face::Pool;
use super::hooks::HookSettings;
use super::preload::{Preload, Preloads};
use super::settings::Settings;
use super::shared::Shared;
use super::size::{MOST_WORKERS, Size, WorkerCount};
use super::supervisor::Supervisor;
use crate::error::{Error, Kind, Result};
use crate::registry::Registry;
use crate::start::{
    Origin, Plan, StartMethod, check_depth, check_environment, check_name, default_start_method, fork_template, installed, level,
    template_for, usual_start_method,
};
use crate::sys::{OwnThread, usable_cpus};

/// The environment variable that says how many workers a pool has for which nobody says it.
const VARIABLE: &str = "MPM_WORKERS";

/// The settings of a [`Pool`].
///
/// | setting | default |
/// |---|---|
/// | [`name`](Self::name) | `mpm` |
/// | [`workers`](Self::workers) | the environment variable `MPM_WORKERS`, else the CPUs that affinity and cgroup quota leave to this process; in a worker, its share of those |
/// | [`queue`](Self::queue) | 1024 jobs |
/// | [`env`](Self::env) | this process's environment, as it is when the pool is built |
/// | [`cwd`](Self::cwd) | this process's working directory, as it is when the pool is built |
/// | [`start`](Self::start) | as [`start_method`](crate::start_method) says: `ForkServer` |
/// | [`max_jobs`](Self::max_jobs), [`max_jobs_jitter`](Self::max_jobs_jitter) | no limit; 0 |
/// | [`max_age`](Self::max_age) | no limit |
/// | [`max_idle`](Self::max_idle) | 10 seconds |
/// | [`max_rss`](Self::max_rss), [`max_rss_hard`](Self::max_rss_hard) | no limit |
/// | [`recycle_share`](Self::recycle_share) | a quarter, and at least one worker |
/// | [`unresponsive`](Self::unresponsive) | 10 seconds |
/// | [`restart_limit`](Self::restart_limit) | none; see there |
/// | [`preload`](Self::preload) | nothing |
/// | [`objects`](Self::objects) | 16 in each worker |
/// | [`timeout`](Self::timeout), [`cpu_time`](Self::cpu_time) | none |
/// | [`retries`](Self::retries) | none |
/// | [`limit_concurrency`](Self::limit_concurrency) | as many jobs of a target at once as there are workers |
/// | [`limit_rate`](Self::limit_rate) | as many starts as there can be |
/// | [`round_robin`](Self::round_robin) | no: a job goes to whoever is free |
/// | [`grace`](Self::grace) | 2 seconds |
/// | [`start_timeout`](Self::start_timeout) | 60 seconds |
/// | [`on_start`](Self::on_start), [`on_stop`](Self::on_stop), [`on_stop_with`](Self::on_stop_with) | nothing |
/// | [`on_start_timeout`](Self::on_start_timeout), [`on_stop_timeout`](Self::on_stop_timeout) | as `start_timeout`, as `grace` |
/// | [`on_event`](Self::on_event) | nobody listens |
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
    workers: Option<WorkerCount>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    preload: Preloads,
    pub(super) hooks: HookSettings,
    start: Option<StartMethod>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let settings = Settings::default();
        let (preload, hooks) = (Preloads::default(), HookSettings::default());
        Self { settings, workers: None, env: Vec::new(), cwd: None, preload, hooks, start: None }
    }

    /// The pool's name. Its workers are called `name-0`, `name-1`, … in reports, messages and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many worker processes the pool has, from 1 to 4096: a number, or a range. `build` starts the number, or the lower end of
    /// the range.
    ///
    /// With a range, such as `1..=8`, the pool grows when jobs wait and all its workers have something to do: at once where the jobs are
    /// worth a start, and otherwise when they have waited for some milliseconds. A worker that has had nothing to do for
    /// [`max_idle`](Self::max_idle) ends, as long as the lower end is left. That may be 0: then a pool without jobs is no process at
    /// all. A range does not go with [`round_robin`](Self::round_robin).
    ///
    /// Where nobody says, the environment variable `MPM_WORKERS` does, with a number from 1 to 4096; anything else in it makes
    /// `build` fail. Where that is not set or empty, it is the number of CPUs that affinity and cgroup quota leave to this process.
    ///
    /// That number is the budget of the whole tree of pools: in a worker of another pool it is what that pool's own number of workers
    /// leaves to each of them, at least 1. In a pool of four workers on eight CPUs, a pool that a job makes has two.
    pub fn workers(mut self, workers: impl Into<WorkerCount>) -> Self {
        self.workers = Some(workers.into());
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

    /// Runs a job, or builds an object (`.preload(&object)`), before there are workers: to load what all of them need. May be called
    /// several times; all is done in this order.
    ///
    /// With [`ForkServer`](StartMethod::ForkServer) and [`Fork`](StartMethod::Fork) that is done once, in the template, on a
    /// thread that ends with it. What a job leaves in statics, and the object, all workers have, and share its memory until one of
    /// them writes there. With [`Spawn`](StartMethod::Spawn) it is done in each worker before that takes jobs.
    ///
    /// A job or constructor that panics, fails or takes longer than [`start_timeout`](Self::start_timeout) makes the pool fail with
    /// that reason; so does one that leaves threads running in a template.
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
    pub fn preload(mut self, what: impl Preload) -> Self {
        self.preload.add(what);
        self
    }

    /// How many objects each worker keeps, at least 1. When one more is wanted, the one that was not used for longest is dropped;
    /// should it be wanted again, it is built again.
    ///
    /// Objects are those of `#[worker] impl`, one for each `T::remote(…)`, and of `#[worker] struct`. What a worker has and has not
    /// used yet of what was preloaded does not count.
    pub fn objects(mut self, objects: usize) -> Self {
        self.settings.objects = objects;
        self
    }

    /// How long running jobs may go on when the pool is dropped or when they have met a limit, and how long a worker that was told
    /// to end may take, before they are killed.
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
        let Self { mut settings, workers, env, cwd, preload, hooks, start } = self;
        // Asked once: it opens files.
        settings.cpus = usable_cpus();
        let default = default_workers(settings.cpus);
        settings.budget = default.as_ref().copied().unwrap_or(settings.cpus);
        settings.size = match workers {
            Some(workers) => Size::checked("Builder::workers", workers, settings.round_robin)?,
            None => Size::fixed(default?),
        };
        check(&settings, &env)?;
        installed()?;
        check_depth(&format!("build pool {}", settings.name))?;
        let chosen = start.map_or_else(default_start_method, |method| Ok(Some(method)))?;
        settings.method = chosen.unwrap_or_else(usual_start_method);
        let registry = Registry::global().map_err(|e| Error::new(Kind::Registry, "register the targets").because(e.clone()))?;
        settings.target_limits.iter_mut().try_for_each(|limits| limits.resolve(registry))?;
        let system = |what: &'static str| move |e: std::io::Error| Error::new(Kind::System, what).because(e);
        let plan = Plan::new(&env, cwd.as_ref(), preload.resolve("Builder::preload", registry)?);
        let hooks = hooks.resolve(&settings, registry)?;
        let method = settings.method;
        let origin = match method {
            StartMethod::Spawn => Origin::Spawn,
            StartMethod::ForkServer => Origin::Template(template_for(&plan)),
            StartMethod::Fork => Origin::Template(fork_template(&plan, registry, promised)?),
        };
        let shared = Arc::new(Shared::new(settings, plan, hooks, registry).map_err(system("make the pool's doorbell"))?);
        let supervisor = Supervisor::new(Arc::clone(&shared), origin, method, chosen.is_some());
        let supervisor = supervisor.map_err(system("make the pool's poller"))?;
        if shared.callbacks.is_wanted() {
            shared.callbacks.start().map_err(system("start the pool's thread for callbacks"))?;
        }
        let thread = OwnThread::spawn("mpm-pool", move |own| supervisor.run(&own));
        let thread = thread.map_err(system("start the pool's supervisor thread"))?;
        Ok(Pool::from_parts(shared, thread))
    }
}

/// As many as the environment says, or as there are CPUs; in a worker of another pool, as many CPUs as that leaves to it.
fn default_workers(cpus: usize) -> Result<usize> {
    if let Some(share) = level().cpus {
        return Ok((share as usize).clamp(1, MOST_WORKERS));
    }
    let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(cpus.min(MOST_WORKERS));
    };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| (1..=MOST_WORKERS).contains(number));
    number.ok_or_else(|| {
        let text = format!("environment variable {VARIABLE}={text:?}: a pool has from 1 to {MOST_WORKERS} workers");
        Error::new(Kind::Setting, text)
    })
}

fn check(settings: &Settings, env: &[(OsString, OsString)]) -> Result<()> {
    let refuse = |text: String| Err(Error::new(Kind::Setting, text));
    settings.limits.check("Builder")?;
    if settings.start_timeout.is_zero() {
        return refuse("Builder::start_timeout(0): no worker is ready in no time".to_owned());
    }
    if settings.queue == 0 {
        return refuse("Builder::queue(0): at least one job must be able to wait".to_owned());
    }
    for (name, time) in [("timeout", settings.timeout), ("cpu_time", settings.cpu_time)] {
        if time.is_some_and(|time| time.is_zero()) {
            return refuse(format!("Builder::{name}(0): no job could end in time"));
        }
    }
    if settings.objects == 0 {
        return refuse("Builder::objects(0): a worker keeps at least the object that it uses".to_owned());
    }
    check_name("Builder::name", &settings.name)?;
    check_environment("Builder::env", env)
}
