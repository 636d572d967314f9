//! Start methods: one trait, several ways to make a process. `Spawn` starts the executable anew.

use std::ffi::{CString, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::handshake::{Hello, PROTOCOL};
use super::recipe::recipe;
use super::stderr::{Capture, capture_stderr};
use crate::error::{Error, Kind, Result};
use crate::link::{LinkFds, ParentEnd};
use crate::registry::Registry;
use crate::sys::{Child, Doorbell, Lifeline, Socket, SpawnRequest, executable_identity, spawn};

/// A way to make a worker process.
pub(crate) trait StartMethod: Send + Sync + fmt::Debug {
    /// Starts the process. It finds its hello in the control socket.
    fn start(&self, launch: &Launch) -> io::Result<Child>;
}

/// What a start method needs; dropped afterwards, it closes the child's ends in this process.
#[derive(Debug)]
pub(crate) struct Launch {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    control: Socket,
    stderr: OwnedFd,
    prints_first: bool,
}

/// What the pool says about a worker that it wants.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) worker: &'a str,
    pub(crate) env: &'a [(OsString, OsString)],
    pub(crate) cwd: Option<&'a Path>,
    pub(crate) doorbell: &'a Doorbell,
    pub(crate) registry: &'a Registry,
}

/// `posix_spawn` of `/proc/self/exe`: a fresh process, about a millisecond.
#[derive(Debug)]
pub(crate) struct Spawn;

impl StartMethod for Spawn {
    fn start(&self, launch: &Launch) -> io::Result<Child> {
        spawn(&SpawnRequest {
            argv: &launch.arguments,
            env: &launch.environment,
            control: launch.control.as_fd(),
            stderr: launch.stderr.as_fd(),
            set_stdout_aside: launch.prints_first,
        })
    }
}

/// Makes a link and everything else that a new worker gets, and puts its hello into its socket.
pub(crate) fn prepare(offer: &Offer<'_>) -> Result<(ParentEnd, Capture, Launch)> {
    let recipe = recipe()?;
    let system = |what: &'static str| move |e: io::Error| Error::new(Kind::System, what).because(e);
    let (link, fds, control): (ParentEnd, LinkFds, Socket) =
        ParentEnd::create().map_err(system("make the shared memory of a worker"))?;
    let (capture, stderr) = capture_stderr().map_err(system("make the standard error of a worker"))?;
    let hello = Hello {
        protocol: PROTOCOL,
        nonce: nonce(),
        build: executable_identity().map_err(system("look at /proc/self/exe"))?,
        fingerprint: offer.registry.fingerprint(),
        worker: offer.worker.to_owned(),
        cwd: offer.cwd.map(|path| path.as_os_str().as_bytes().to_vec()),
        parent: std::process::id(),
    };
    let lifeline = lifeline().map_err(system("make the lifeline of the workers"))?;
    let [requests, responses] = fds.as_fds();
    hello.send(link.socket(), &[requests, responses, offer.doorbell.ringer(), lifeline.read_end()])?;
    let launch = Launch {
        arguments: recipe.arguments(offer.worker, hello.nonce),
        environment: environment(offer.env),
        control,
        stderr,
        prints_first: recipe.prints_first(),
    };
    Ok((link, capture, launch))
}

/// The one lifeline of this process; it ends with the process. A failure is not remembered: the next start tries again.
/// A copy of the process made by fork(2) makes one of its own, since its parent holds the other end of the old one too.
fn lifeline() -> io::Result<Arc<Lifeline>> {
    static LIFELINE: Mutex<Option<(u32, Arc<Lifeline>)>> = Mutex::new(None);
    let mut known = LIFELINE.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    match &*known {
        Some((owner, lifeline)) if *owner == pid => Ok(Arc::clone(lifeline)),
        _ => {
            let made = Arc::new(Lifeline::new()?);
            *known = Some((pid, Arc::clone(&made)));
            Ok(made)
        }
    }
}

/// A number that the worker compares with its token, so that it takes no other socket for its own.
fn nonce() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
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
