//! The template's side: runs what is preloaded, then forks a worker whenever the parent orders one.
//!
//! | state | left |
//! |---|---|
//! | preparing | preload jobs run, on a thread of their own | they have returned: serving; one fails or leaves threads: ends with the reason |
//! | serving | waits for orders, one thread, runs no code of the user's | the parent is gone: kills its workers and ends; it cannot be heard or answered: ends, and its workers go on |
//!
//! Preload jobs run on a thread that is gone when the first worker is forked. What is kept for each thread, such as the
//! state of random number generators and of hash maps, goes with it, so that each worker draws its own.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::child::{Born, be_worker};
use super::handshake::{Answer, Order, receive_short, send};
use super::hooks::{First, run_first};
use super::line::is_hang_up;
use super::plan::PreloadJob;
use super::recipe::installed;
use super::refusal::Refusal;
use crate::error::WorkerExit;
use crate::registry::Registry;
use crate::sys::{
    Alone, LifelineEnd, Pidfd, Socket, Title, adopt_stderr, alone, end_own_group, exit_now, fault_point, fill_standard_streams,
    flush_output, fork, has_several_cpus, heed_terminate, ignore_child_signal, ignore_terminate, kill_own_group_of, lead_session,
    reap, reset_signals, say, wake_at_parent_death, watch_children,
};

/// What a template has when it serves.
#[derive(Debug)]
pub(super) struct Inheritance {
    /// Each worker gets a description of its own.
    lifeline: LifelineEnd,
    parent: Pidfd,
    title: Option<Title>,
    ignores_children: bool,
    ignores_terminate: bool,
}

impl Inheritance {
    /// Runs the preload jobs and makes sure that nothing is left of them that a copy could not have.
    pub(super) fn prepare(
        socket: &Socket,
        registry: &'static Registry,
        jobs: Vec<PreloadJob>,
        (lifeline, parent): (LifelineEnd, Pidfd),
    ) -> Result<Self, Refusal> {
        let installed = installed().map_err(|e| Refusal::handshake(e.to_string()))?;
        let check_alone = |when: &str, remedy: &str| match alone(installed.recipe.parks_main()) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "it cannot fork workers: {error}, started {when}; what it has locked would stay locked in a copy. {remedy}, or use \
                 StartMethod::Spawn"
            )),
        };
        check_alone("before main() called mpm::init()", "Start threads later").map_err(Refusal::threads)?;
        if !jobs.is_empty() {
            preload_on_a_thread(socket, registry, jobs).map_err(Refusal::handshake)?;
            // No other way would do: each worker would preload the same.
            check_alone("while it was preloaded", "End threads in the preload job").map_err(Refusal::handshake)?;
        }
        // What lies in buffers, each worker would write out once more; and each begins with clean signals.
        flush_output();
        reset_signals();
        fill_standard_streams();
        // What each worker would look up and lay out for itself.
        has_several_cpus();
        (installed.duties.prepare)();
        wake_at_parent_death();
        // Who ends all processes of a service by SIGTERM ends the parent too, or that goes on and needs it.
        let ignores_terminate = ignore_terminate();
        Ok(Self { lifeline, parent, title: Title::find(), ignores_children: watch_children(), ignores_terminate })
    }
}

fn preload_on_a_thread(socket: &Socket, registry: &'static Registry, jobs: Vec<PreloadJob>) -> Result<(), String> {
    let socket = socket.try_clone().map_err(|e| format!("keep the control socket: {e}"))?;
    let body = move || run_first(&socket, registry, jobs, First::Preload);
    let thread = thread::Builder::new().name("preload".to_owned()).spawn(body);
    thread.map_err(|e| format!("start the thread for preload jobs: {e}"))?.join().map_err(|_| "preloading panicked".to_owned())?
}

/// Serves until the parent is gone.
pub(super) fn serve_forks(socket: Socket, inheritance: Inheritance) -> ! {
    let mut workers = Vec::new();
    loop {
        let order = wait_for_order(&socket, &inheritance.parent).and_then(|()| receive_short(&socket, false));
        let answered = match order {
            Ok((Order::Fork { nonce }, fds)) => {
                fault_point("forking");
                let forked = match fds.map(<[OwnedFd; 2]>::try_from) {
                    Some(Ok([control, stderr])) => {
                        // Opened here, where the way to it is known already.
                        let lifeline = inheritance.lifeline.open();
                        match fork(Alone::promised()) {
                            Ok(None) => {
                                drop(socket);
                                become_forked(control, stderr, nonce, lifeline, inheritance)
                            }
                            Ok(Some(pid)) => Ok(pid),
                            Err(error) => Err(error),
                        }
                    }
                    // There was no room for them here.
                    _ => Err(Errno::EMFILE.into()),
                };
                match forked {
                    Ok(pid) => {
                        workers.push(pid);
                        send(&socket, &Answer::Forked { pid }, &[])
                    }
                    Err(error) => send(&socket, &Answer::NotForked(error.raw_os_error().unwrap_or(0)), &[]),
                }
            }
            Ok((Order::Reap { pid }, _)) => {
                let exit = reap(pid);
                workers.retain(|worker| *worker != pid);
                send(&socket, &Answer::Reaped { status: exit.status, max_rss: exit.max_rss }, &[])
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof || is_hang_up(&error) => end(&workers),
            Err(error) => {
                say(&format!("mpm: the template cannot go on: {error}"));
                exit_now(WorkerExit::LinkDamaged.code());
            }
        }
    }
}

/// Waits until there is something to read, or the parent has ended.
fn wait_for_order(socket: &Socket, parent: &Pidfd) -> std::io::Result<()> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(parent.as_fd(), PollFlags::POLLIN)];
    while let Err(error) = poll(&mut fds, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    if fds[1].any().unwrap_or(true) { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// The parent is gone: nobody is left behind, nor what was started while this process preloaded.
fn end(workers: &[i32]) -> ! {
    workers.iter().for_each(|pid| kill_own_group_of(*pid));
    end_own_group()
}

/// The first steps of a worker in its copy of the template.
fn become_forked(
    control: OwnedFd,
    stderr: OwnedFd,
    nonce: u64,
    lifeline: std::io::Result<OwnedFd>,
    Inheritance { lifeline: end, parent, title, ignores_children, ignores_terminate }: Inheritance,
) -> ! {
    drop(end);
    lead_session();
    if ignores_children {
        ignore_child_signal();
    }
    if !ignores_terminate {
        heed_terminate();
    }
    if let Err(error) = adopt_stderr(&stderr) {
        say(&format!("mpm: a worker has no standard error of its own: {error}"));
    }
    drop(stderr);
    be_worker(Socket::from(control), nonce, Born::OfTemplate { lifeline, parent, title })
}
