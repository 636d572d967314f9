//! What a started process does before its first job: takes its socket, ties its life to the parent's, checks that both
//! fit, preloads, says that it is ready. A worker that a template has forked does the same, but for what its template has
//! done already.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use super::current::{Current, ParentProcess, become_current};
use super::forkserver::{Inheritance, serve_forks};
use super::handshake::{Duty, Go, Hello, HelloFds, PROTOCOL, Reply, receive, send};
use super::hooks::{First, Hooks, Last, run_first};
use super::level::take_level;
use super::method::inherit_start_method;
use super::parcel::Parcel;
use super::plan::PreloadJob;
use super::recipe::{Role, Token, installed};
use super::refusal::Refusal;
use super::single::Single;
use crate::codec::{NoValue, Panic};
use crate::error::{Phase, WorkerExit};
use crate::link::WorkerEnd;
use crate::registry::{Registration, Registry};
use crate::sys::{
    Armed, LifelineEnd, Pidfd, Socket, Title, adopt_stdout, adopt_streams, arm_lifeline, arm_parent_death_signal,
    executable_identity, exit_now, fault_point, fill_standard_streams, finish, heed_interrupt, ignore_interrupt, rename, say,
    socket_from_raw, unblock_signals,
};

/// Bytes of a refusal or a result, which has to fit into one message.
pub(super) const LONGEST_TEXT: usize = 16 * 1024;

/// Runs one job.
pub(super) type RunOne = fn(&Registration, &[u8], &dyn Fn(Phase)) -> Result<Vec<u8>, NoValue>;

/// What a child does, handed in from above: this room names neither the worker's loop nor how a job is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duties {
    /// What a worker does before it serves, or for it the template of which it is a copy.
    pub(crate) prepare: fn(),
    pub(crate) serve: fn(Box<Setup>) -> WorkerExit,
    /// Runs one job: its encoded result, or why there is none. It tells the phases from `Running` on.
    pub(crate) run_one: RunOne,
    /// Runs a closure: its panic, if it does.
    pub(crate) guard: fn(&mut dyn FnMut()) -> Result<(), Panic>,
    /// What a process does last that has run its one job.
    pub(crate) tidy: fn(),
}

/// What the worker loop gets.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) link: WorkerEnd,
    pub(crate) registry: &'static Registry,
    /// Its number in the pool.
    pub(crate) index: u32,
    /// After so many jobs it ends; 0 for never.
    pub(crate) max_jobs: u64,
    /// So many objects it keeps.
    pub(crate) objects: usize,
}

/// Who has started this process.
#[derive(Debug)]
pub(super) enum Born {
    /// The parent itself.
    OfParent,
    /// A template, which kills its workers when the parent is gone.
    OfTemplate {
        /// To be armed.
        lifeline: io::Result<OwnedFd>,
        parent: Pidfd,
        /// Where its name goes in listings.
        title: Option<Title>,
    },
    /// The parent itself, as its copy.
    AsCopy,
}

/// What a process has to do, and what with.
enum Task {
    Serve(Box<Setup>, Option<Last>),
    Single(Single),
}

/// Turns this process into what `token` says, and ends with it.
pub(crate) fn begin(token: Token) -> ! {
    let Ok(installed) = installed() else { exit_now(WorkerExit::TokenSpent.code()) };
    let Some(socket) = socket_from_raw(token.socket) else {
        say("mpm: this command line belongs to a worker process; it is used once, by the program that made it");
        exit_now(WorkerExit::TokenSpent.code());
    };
    if installed.recipe.prints_first() {
        adopt_stdout();
    }
    ignore_interrupt();
    match token.role {
        Role::Worker => be_worker(socket, token.nonce, Born::OfParent),
        Role::Template => be_template(socket, token.nonce),
    }
}

/// The whole life of a worker, or of a process that runs one job.
pub(super) fn be_worker(socket: Socket, nonce: u64, born: Born) -> ! {
    fault_point("started");
    let duties = installed().map(|installed| installed.duties).map_err(|e| Refusal::handshake(e.to_string()));
    let begun = duties.and_then(|duties| Ok((duties, set_up(&socket, nonce, born)?)));
    if let Err(refusal) = &begun {
        refusal.tell(&socket);
    }
    drop(socket);
    match begun {
        Ok((duties, Task::Serve(setup, last))) => {
            let exit = (duties.serve)(setup);
            if exit == WorkerExit::Finished {
                // Its objects are still there.
                last.into_iter().for_each(|last| last.run(duties.run_one));
                fault_point("dropping");
                (duties.tidy)();
            }
            finish(exit.code())
        }
        Ok((duties, Task::Single(single))) => {
            let code = single.run(duties.run_one);
            (duties.tidy)();
            finish(code)
        }
        Err(refusal) => refusal.end(),
    }
}

fn be_template(socket: Socket, nonce: u64) -> ! {
    rename("mpm-template");
    match set_up_template(&socket, nonce) {
        Ok(inheritance) => serve_forks(socket, inheritance),
        Err(refusal) => {
            refusal.tell(&socket);
            refusal.end()
        }
    }
}

/// This and `become_what` apart from each other and from the worker's loop: what they need on the stack lies in the same place then,
/// and a worker touches fewer pages.
#[inline(never)]
fn set_up(socket: &Socket, nonce: u64, born: Born) -> Result<Task, Refusal> {
    let is_prepared = matches!(born, Born::OfTemplate { .. });
    let (hello, fds) = Hello::receive(socket, !is_prepared).map_err(Refusal::no_handshake)?;
    become_what(hello, fds, socket, nonce, born)
}

#[inline(never)]
fn become_what(hello: Hello, fds: HelloFds, socket: &Socket, nonce: u64, born: Born) -> Result<Task, Refusal> {
    let is_exec = matches!(born, Born::OfParent);
    let is_prepared = matches!(born, Born::OfTemplate { .. });
    let HelloFds { ties, link, streams, mut beside } = fds;
    let (lifeline, parent, title, second_tie) = match (born, ties) {
        // Its parent by number is the template, whose end shall not be its own, and which may not live as long as it does.
        (Born::OfTemplate { lifeline, parent, title }, _) => (lifeline, parent, title, false),
        (_, ties) => {
            let (lifeline, parent) = take_ties(ties)?;
            (lifeline.open(), parent, None, arm_parent_death_signal(hello.parent))
        }
    };
    tie(lifeline, second_tie)?.into_iter().for_each(Armed::for_good);
    fault_point("greeted");
    rename(&hello.name);
    if let Some(title) = title {
        title.write(&hello.name);
    }
    let checked = check(&hello, nonce, is_exec).and_then(|registry| {
        let jobs = preload_jobs(hello.preload, &mut beside)?;
        if !jobs.is_empty() {
            run_first(socket, registry, jobs, First::Preload)?;
            // As after a template's: a worker's jobs begin in the pool's directory, with no signal blocked and three standard streams.
            hello.directory.as_ref().map_or(Ok(()), super::plan::Directory::enter)?;
            unblock_signals();
            fill_standard_streams();
        }
        match (hello.duty, link) {
            (Duty::Serve { max_jobs, index, objects, hooks }, Some([requests, responses, doorbell])) => {
                let mut hooks = Hooks::open(hooks, &mut beside)?;
                if !is_prepared {
                    (installed().map_err(|e| e.to_string())?.duties.prepare)();
                }
                let other = socket.try_clone().map_err(|e| format!("keep the control socket: {e}"))?;
                let link = WorkerEnd::open(other, requests, responses, doorbell).map_err(|e| format!("map the link: {e}"))?;
                let setup = Box::new(Setup { link, registry, index, max_jobs, objects });
                Ok((Task::Serve(setup, hooks.last(socket, registry)?), hooks.start))
            }
            (Duty::Single { target, arguments, .. }, _) => {
                let arguments = arguments.open(&mut beside).map_err(|e| format!("take over the arguments: {e}"))?;
                let registration = registry.get(target).ok_or_else(|| format!("there is no target {target}"))?;
                adopt_streams(streams).map_err(|e| format!("take over the standard streams: {e}"))?;
                // It is steered like any process, and does not sit at the terminal of its parent.
                heed_interrupt();
                let socket = socket.try_clone().map_err(|e| format!("keep the control socket: {e}"))?;
                Ok((Task::Single(Single { socket, registration, arguments }), Vec::new()))
            }
            _ => Err("the hello does not say what this process is for".to_owned()),
        }
    });
    let (task, first) = checked.map_err(Refusal::handshake)?;
    take_level(hello.level);
    become_current(Current {
        name: hello.name,
        daemon: hello.daemon,
        method: hello.method,
        parent: ParentProcess::new(hello.parent_name, hello.parent, parent),
    });
    if let Task::Serve(setup, _) = &task {
        // It knows who it is by now, as its jobs do.
        run_first(socket, setup.registry, first, First::Start).map_err(Refusal::handshake)?;
    }
    send(socket, &Reply::Ready, &[]).map_err(Refusal::not_heard)?;
    fault_point("ready");
    if let Task::Single(_) = &task {
        // Its start may have failed for its parent meanwhile: then its job is not to run. A pool does not give its worker any.
        let (Go::Run, _) = receive(socket, false).map_err(Refusal::not_heard)?;
    }
    Ok(task)
}

fn set_up_template(socket: &Socket, nonce: u64) -> Result<Inheritance, Refusal> {
    let (hello, HelloFds { ties, mut beside, .. }) = Hello::receive(socket, true).map_err(Refusal::no_handshake)?;
    let (lifeline, parent) = take_ties(ties)?;
    // Only while user code runs here; later it is for this process to end its workers before itself.
    let tied = tie(lifeline.open(), false)?;
    take_level(hello.level);
    let registry = check(&hello, nonce, true).map_err(Refusal::handshake)?;
    let jobs = preload_jobs(hello.preload, &mut beside).map_err(Refusal::handshake)?;
    let inheritance = Inheritance::prepare(socket, registry, jobs, (lifeline, parent))?;
    drop(tied);
    send(socket, &Reply::Ready, &[]).map_err(Refusal::not_heard)?;
    Ok(inheritance)
}

fn take_ties(ties: Option<[OwnedFd; 2]>) -> Result<(LifelineEnd, Pidfd), Refusal> {
    let [lifeline, parent] = ties.ok_or_else(|| Refusal::handshake("the hello came without its ties".to_owned()))?;
    Ok((LifelineEnd::from(lifeline), Pidfd::from(parent)))
}

/// Ties this process's group to the parent. Without a second tie, an error that leaves it untied is one of the start.
fn tie(lifeline: io::Result<OwnedFd>, second_tie: bool) -> Result<Option<Armed>, Refusal> {
    match lifeline.and_then(arm_lifeline) {
        Ok(armed) => Ok(Some(armed)),
        Err(error) if error.kind() == ErrorKind::BrokenPipe || !second_tie => Err(Refusal::untied(&error)),
        Err(_) => Ok(None),
    }
}

/// Whether this process is what the parent expects; enters the directory.
fn check(hello: &Hello, nonce: u64, is_exec: bool) -> Result<&'static Registry, String> {
    if hello.protocol != PROTOCOL || hello.nonce != nonce {
        return Err("the parent speaks another version of the protocol, or the token is not its own".to_owned());
    }
    let registry = Registry::global().map_err(|e| e.to_string())?;
    // A copy runs what its original runs; a template has been looked at.
    if is_exec {
        let build = executable_identity().map_err(|e| format!("look at /proc/self/exe: {e}"))?;
        if build != hello.build {
            return Err("this is not the executable that the parent runs".to_owned());
        }
    }
    if registry.fingerprint() != hello.fingerprint {
        return Err("the registered targets differ from the parent's".to_owned());
    }
    inherit_start_method(hello.default_method);
    if let Some(directory) = &hello.directory {
        directory.enter()?;
    }
    Ok(registry)
}

fn preload_jobs(parcel: Option<Parcel>, beside: &mut VecDeque<OwnedFd>) -> Result<Vec<PreloadJob>, String> {
    let Some(parcel) = parcel else { return Ok(Vec::new()) };
    let bytes = parcel.open(beside).map_err(|e| format!("take over what is to be preloaded: {e}"))?;
    postcard::from_bytes(&bytes).map_err(|e| format!("read what is to be preloaded: {e}"))
}
