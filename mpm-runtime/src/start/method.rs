//! The start methods by name, and which of them this process uses where nobody chooses.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// The environment variable that chooses the default start method of a process.
const VARIABLE: &str = "MPM_START_METHOD";

/// How worker processes are made.
///
/// | method | a worker is | costs | begins with |
/// |---|---|---|---|
/// | `ForkServer` | a copy of a clean template process, which was started once | a fork of a small process | what was [preloaded](crate::Builder::preload) |
/// | `Spawn` | this program, started anew | an exec, and `main` up to `init` | nothing |
/// | `Fork` | a copy of this process as it was when the pool was built | the same; the template, a fork of this process, with its memory | everything this process had |
///
/// `Fork` is refused in a process that has other threads: a copy would hold their locks for ever. Exit hooks (atexit(3)) that this
/// process has registered before run in this process alone (with glibc).
///
/// Which one is used: the one that the builder names; else what [`set_start_method`] has set; else what the environment
/// variable `MPM_START_METHOD` names; else `ForkServer`.
///
/// ```
/// use mpm::StartMethod;
///
/// assert_eq!("spawn".parse::<StartMethod>()?, StartMethod::Spawn);
/// assert_eq!(StartMethod::ALL[0], StartMethod::ForkServer);
/// let error = "teleport".parse::<StartMethod>().unwrap_err();
/// assert!(error.to_string().contains("forkserver, spawn, fork"));
/// # Ok::<(), mpm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartMethod {
    /// A clean template process is started once; it forks the workers.
    #[default]
    ForkServer,
    /// Each worker is this program, started anew.
    Spawn,
    /// A template is forked from this process when the pool is built; it forks the workers.
    Fork,
}

impl StartMethod {
    /// All methods, the default one first.
    pub const ALL: [Self; 3] = [Self::ForkServer, Self::Spawn, Self::Fork];

    /// The name: `forkserver`, `spawn` or `fork`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForkServer => "forkserver",
            Self::Spawn => "spawn",
            Self::Fork => "fork",
        }
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StartMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::new(Kind::Setting, format!("there is no start method {name:?}; known ones are {known}"))
        })
    }
}

static CHOSEN: Mutex<Option<StartMethod>> = Mutex::new(None);

/// The start method of this process: what was set, or the environment names, or else `ForkServer`.
///
/// A worker has that of the process that started it.
///
/// ```
/// use mpm::StartMethod;
///
/// mpm::set_start_method(StartMethod::Spawn)?;
/// assert_eq!(mpm::start_method()?, StartMethod::Spawn);
/// assert!(mpm::set_start_method(StartMethod::Fork).is_err());
/// mpm::force_start_method(StartMethod::ForkServer);
/// assert_eq!(mpm::start_method()?, StartMethod::ForkServer);
/// # Ok::<(), mpm::Error>(())
/// ```
///
/// # Errors
/// When `MPM_START_METHOD` names a method that does not exist.
pub fn start_method() -> Result<StartMethod> {
    default_start_method().map(Option::unwrap_or_default)
}

/// Sets the start method of this process, once, for all pools and processes that name none themselves.
///
/// # Errors
/// When it was set before.
pub fn set_start_method(method: StartMethod) -> Result<()> {
    let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = *chosen {
        let text = format!("the start method is {known} already; mpm::force_start_method changes it all the same");
        return Err(Error::new(Kind::Setting, text));
    }
    *chosen = Some(method);
    Ok(())
}

/// As [`set_start_method`], but overrides what was set before. Pools that were built before keep their method.
pub fn force_start_method(method: StartMethod) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(method);
}

/// The method that somebody has chosen for this process, if anybody has.
pub(crate) fn default_start_method() -> Result<Option<StartMethod>> {
    if let Some(chosen) = *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) {
        return Ok(Some(chosen));
    }
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Ok(None) };
    let method = name
        .to_string_lossy()
        .parse()
        .map_err(|e: Error| Error::new(Kind::Setting, format!("environment variable {VARIABLE}")).because(e))?;
    Ok(Some(method))
}

/// Whether a template has found threads in this program before it came to `init`.
static GAVE_WAY: Mutex<bool> = Mutex::new(false);

/// What is used where nobody has chosen: `ForkServer`, unless that has turned out not to work in this program.
pub(crate) fn usual_start_method() -> StartMethod {
    if *GAVE_WAY.lock().unwrap_or_else(PoisonError::into_inner) { StartMethod::Spawn } else { StartMethod::ForkServer }
}

/// A template cannot fork in this program: the next pool need not try.
pub(crate) fn give_way_to_spawn() {
    *GAVE_WAY.lock().unwrap_or_else(PoisonError::into_inner) = true;
}

/// In a new process: takes over what was set in its parent.
pub(super) fn inherit_start_method(method: Option<StartMethod>) {
    if let Some(method) = method {
        force_start_method(method);
    }
}

/// What was set in this process, for those that it starts.
pub(super) fn chosen_start_method() -> Option<StartMethod> {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner)
}
