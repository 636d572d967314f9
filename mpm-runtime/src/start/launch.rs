//! What a new worker gets: a link, a name, a hello that waits for it in its socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use super::current::current_process;
use super::handshake::{Duty, Hello, PROTOCOL, send};
use super::hooks::Hooks;
use super::level::level;
use super::method::StartMethod;
use super::parcel::Parcel;
use super::plan::Plan;
use super::stderr::{Capture, capture_stderr};
use crate::error::{Error, Kind, Result};
use crate::link::ParentEnd;
use crate::registry::Registry;
use crate::sys::{Doorbell, Lifeline, Memfd, Pidfd, Private, Socket, executable_identity};

/// What is needed to start a worker; dropped afterwards, it closes the child's ends in this process. A copy of this process that
/// is made while it waits has nothing of it.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(super) name: Arc<str>,
    pub(super) nonce: u64,
    pub(super) control: Private,
    pub(super) stderr: Private,
    pub(super) plan: Arc<Plan>,
}

/// What the pool says about a worker that it wants.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) worker: &'a Arc<str>,
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) method: StartMethod,
    pub(crate) max_jobs: u64,
    pub(crate) hooks: &'a Hooks,
    /// How many CPUs the worker may count on.
    pub(crate) cpus: u32,
    pub(crate) doorbell: &'a Doorbell,
    pub(crate) registry: &'a Registry,
}

/// What is said about a process that runs one job.
#[derive(Debug)]
pub(crate) struct SingleOffer<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) method: StartMethod,
    pub(crate) daemon: bool,
    pub(crate) target: u32,
    pub(crate) arguments: &'a [u8],
    /// In the place of its three standard streams.
    pub(crate) streams: &'a [Option<OwnedFd>; 3],
    pub(crate) registry: &'a Registry,
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |e| Error::new(Kind::System, what).because(e)
}

/// Makes a link and everything else that a new worker gets, and puts its hello into its socket.
pub(crate) fn prepare(offer: &Offer<'_>) -> Result<(ParentEnd, Capture, Launch)> {
    let &Offer { worker, plan, method, max_jobs, hooks, cpus, doorbell, registry } = offer;
    let (link, fds, control) = ParentEnd::create().map_err(system("make the shared memory of a worker"))?;
    let (capture, stderr) = capture_stderr().map_err(system("make the standard error of a worker"))?;
    let (hooks, memory) = pack_hooks(hooks)?;
    let (hello, mut beside) = hello(worker, plan, method, Duty::Serve { max_jobs, hooks }, registry)?;
    beside.extend(memory);
    let level = level().below(Some(cpus));
    let [requests, responses] = fds.as_fds();
    let ties = if method == StartMethod::Spawn { Some(ties()?) } else { None };
    greet(
        link.socket(),
        &Hello { daemon: true, level, ..hello },
        ties.as_deref(),
        &[requests, responses, doorbell.ringer()],
        &beside,
    )?;
    let launch = Launch {
        name: Arc::clone(worker),
        nonce: hello.nonce,
        control: control.into(),
        stderr: stderr.into(),
        plan: Arc::clone(plan),
    };
    Ok((link, capture, launch))
}

fn pack_hooks(hooks: &Hooks) -> Result<(Option<Parcel>, Option<Memfd>)> {
    if hooks.is_empty() {
        return Ok((None, None));
    }
    let bytes = postcard::to_stdvec(hooks).map_err(|e| system("encode what runs first and last")(io::Error::other(e)))?;
    let (parcel, memory) = Parcel::pack(&bytes).map_err(system("put what runs first and last into shared memory"))?;
    Ok((Some(parcel), memory))
}

/// Makes everything that a process for one job gets, and puts its hello into its socket.
pub(crate) fn prepare_single(offer: &SingleOffer<'_>) -> Result<(Socket, Option<Capture>, Launch)> {
    let &SingleOffer { name, plan, method, daemon, target, arguments, streams, registry } = offer;
    let (socket, control) = Socket::pair().map_err(system("make the socket of a process"))?;
    let (arguments, memory) = Parcel::pack(arguments).map_err(system("put the arguments into shared memory"))?;
    let (capture, stderr) = match &streams[2] {
        Some(stderr) => (None, stderr.try_clone().map_err(system("copy the standard error of a process"))?),
        None => {
            let (capture, stderr) = capture_stderr().map_err(system("make the standard error of a process"))?;
            (Some(capture), stderr)
        }
    };
    let duty = Duty::Single { target, arguments, streams: streams.each_ref().map(Option::is_some) };
    let (hello, mut beside) = hello(name, plan, method, duty, registry)?;
    beside.extend(memory);
    let given: Vec<_> = streams.iter().flatten().map(AsFd::as_fd).collect();
    let ties = if method == StartMethod::ForkServer { None } else { Some(ties()?) };
    greet(&socket, &Hello { daemon, ..hello }, ties.as_deref(), &given, &beside)?;
    let launch = Launch {
        name: Arc::clone(name),
        nonce: hello.nonce,
        control: control.into(),
        stderr: stderr.into(),
        plan: Arc::clone(plan),
    };
    Ok((socket, capture, launch))
}

/// What every new process is told, and the memory beside it if there is too much to tell.
pub(super) fn hello(name: &str, plan: &Plan, method: StartMethod, duty: Duty, registry: &Registry) -> Result<(Hello, Vec<Memfd>)> {
    // What comes from a template has been preloaded there, and runs what that runs.
    let is_exec = matches!(duty, Duty::Template) || method == StartMethod::Spawn;
    let (preload, beside) = if is_exec && !plan.is_bare() {
        let jobs = postcard::to_stdvec(&plan.preload.jobs).map_err(|e| system("encode what is preloaded")(io::Error::other(e)))?;
        let (parcel, beside) = Parcel::pack(&jobs).map_err(system("put what is preloaded into shared memory"))?;
        (Some(parcel), beside)
    } else {
        (None, None)
    };
    let hello = Hello {
        protocol: PROTOCOL,
        nonce: nonce(),
        build: if is_exec { executable_identity().map_err(system("look at /proc/self/exe"))? } else { 0 },
        fingerprint: registry.fingerprint(),
        name: name.to_owned(),
        directory: plan.directory.clone(),
        parent: std::process::id(),
        parent_name: current_process().name().to_owned(),
        method,
        default_method: plan.default_method,
        preload,
        daemon: false,
        level: level().below(None),
        duty,
    };
    Ok((hello, beside.into_iter().collect()))
}

/// Sends a hello with all that belongs to it; the ties only to a process that does not have them from its template.
pub(super) fn greet(socket: &Socket, hello: &Hello, ties: Option<&Ties>, given: &[BorrowedFd<'_>], beside: &[Memfd]) -> Result<()> {
    let ties = ties.into_iter().flat_map(|ties| [ties.lifeline.read_end(), ties.pidfd.as_fd()]);
    let fds: Vec<_> = ties.chain(given.iter().copied()).chain(beside.iter().map(AsFd::as_fd)).collect();
    send(socket, hello, &fds).map_err(system("send the hello to a new process"))
}

/// What ties children to this process. It ends with the process.
#[derive(Debug)]
pub(super) struct Ties {
    pub(super) lifeline: Lifeline,
    pub(super) pidfd: Pidfd,
}

/// The ties of this process. A failure is not remembered: the next start tries again. A copy of the process made by fork(2)
/// makes its own, since its parent holds the other end of the old ones too.
pub(super) fn ties() -> Result<Arc<Ties>> {
    known_ties().map_err(system("make the lifeline of the workers"))
}

fn known_ties() -> io::Result<Arc<Ties>> {
    static TIES: Mutex<Option<(u32, Arc<Ties>)>> = Mutex::new(None);
    let mut known = TIES.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    match &*known {
        Some((owner, ties)) if *owner == pid => Ok(Arc::clone(ties)),
        _ => {
            let number = i32::try_from(pid).map_err(io::Error::other)?;
            let made = Arc::new(Ties { lifeline: Lifeline::new()?, pidfd: Pidfd::open(number)? });
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
