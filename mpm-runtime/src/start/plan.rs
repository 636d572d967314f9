//! What all workers of a pool have in common, fixed when the pool is built: environment, directory, what is preloaded.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::method::{StartMethod, chosen_start_method};
use crate::error::{Error, Kind, Result};

/// The directory in which a worker begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    path: Vec<u8>,
    /// The user has asked for it: a worker that cannot enter it refuses to start.
    required: bool,
}

impl Directory {
    /// Enters it.
    pub(super) fn enter(&self) -> std::result::Result<(), String> {
        let path = Path::new(OsStr::from_bytes(&self.path));
        match std::env::set_current_dir(path) {
            Err(error) if self.required => Err(format!("enter the working directory {}: {error}", path.display())),
            // This process's own directory may have been moved or removed since: then the worker stays where it is.
            _ => Ok(()),
        }
    }
}

/// A job that runs once before there are workers, or before a worker takes jobs.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct PreloadJob {
    pub(crate) target: u32,
    pub(crate) name: String,
    pub(crate) arguments: Vec<u8>,
}

/// Whether the result of a preload job, as it came, is a success.
pub(crate) type CheckPreload = fn(Vec<u8>) -> std::result::Result<(), String>;

/// What is preloaded: each job, and how to look at its result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preload {
    pub(crate) jobs: Vec<PreloadJob>,
    pub(crate) checks: Vec<CheckPreload>,
}

/// What all workers of a pool have in common.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `K=V`.
    pub(super) environment: Vec<CString>,
    pub(super) directory: Option<Directory>,
    pub(super) preload: Preload,
    /// What was set by `set_start_method`.
    pub(super) default_method: Option<StartMethod>,
    /// User and group, real and effective: a template keeps those that it was started with.
    identity: [u32; 4],
}

impl Plan {
    /// This process as it is now, with `env` over its environment, and `cwd` in place of its directory.
    pub(crate) fn new(env: &[(OsString, OsString)], cwd: Option<&PathBuf>, preload: Preload) -> Arc<Self> {
        crate::sys::fill_standard_streams();
        let required = cwd.is_some();
        let path = cwd.cloned().or_else(|| std::env::current_dir().ok());
        let directory = path.map(|path| Directory { path: path.into_os_string().into_vec(), required });
        let identity = crate::sys::identity();
        Arc::new(Self { environment: environment(env), directory, preload, default_method: chosen_start_method(), identity })
    }

    /// Whether workers of the one could be workers of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.environment == other.environment
            && self.directory == other.directory
            && self.preload.jobs == other.preload.jobs
            && self.default_method == other.default_method
            && self.identity == other.identity
    }

    /// Whether a template of it holds nothing but the program itself.
    pub(super) fn is_bare(&self) -> bool {
        self.preload.jobs.is_empty()
    }

    /// The name of preload job number `index`.
    pub(crate) fn preload_name(&self, index: u32) -> Option<&str> {
        self.preload.jobs.get(usize::try_from(index).ok()?).map(|job| job.name.as_str())
    }

    /// The check of the result of preload job number `index`.
    pub(crate) fn check_preload(&self, index: u32, result: Vec<u8>) -> std::result::Result<(), String> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let (job, check) =
            self.preload.jobs.get(index).zip(self.preload.checks.get(index)).ok_or("a preload job that there is not")?;
        check(result).map_err(|error| format!("preload job `{}` failed: {error}", job.name))
    }
}

/// This process's environment with `changes` over it, as `K=V` strings.
fn environment(changes: &[(OsString, OsString)]) -> Vec<CString> {
    let kept = std::env::vars_os().filter(|(key, _)| !changes.iter().any(|(changed, _)| changed == key));
    kept.chain(changes.iter().cloned())
        .filter_map(|(key, value)| {
            let mut entry = key.into_encoded_bytes();
            entry.push(b'=');
            entry.extend(value.as_bytes());
            CString::new(entry).ok()
        })
        .collect()
}

/// Bytes of a name, which stands in every message.
const LONGEST_NAME: usize = 256;

/// That `name`, which was given by way of `setting`, can be shown in a line.
pub(crate) fn check_name(setting: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
        let shown: String = name.chars().take(40).collect();
        let text = format!("{setting}({shown:?}): a name has from 1 to {LONGEST_NAME} bytes and no control characters");
        return Err(Error::new(Kind::Setting, text));
    }
    Ok(())
}

/// That each variable can stand in an environment.
pub(crate) fn check_environment(setting: &str, env: &[(OsString, OsString)]) -> Result<()> {
    for (key, value) in env {
        let (k, v) = (key.as_encoded_bytes(), value.as_encoded_bytes());
        if k.is_empty() || k.contains(&b'=') || k.contains(&0) || v.contains(&0) {
            let text = format!("{setting}({key:?}, {value:?}): a key is not empty, has no `=`, and neither part has a NUL byte");
            return Err(Error::new(Kind::Setting, text));
        }
    }
    Ok(())
}
