//! What a started worker does before its first job: takes its socket, ties its life to the parent's, checks that both
//! fit, says that it is ready.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::handshake::{Hello, PROTOCOL, Reply};
use crate::error::WorkerExit;
use crate::link::WorkerEnd;
use crate::registry::Registry;
use crate::sys::{
    Socket, adopt_stdout, arm_lifeline, arm_parent_death_signal, executable_identity, exit_now, fault_point, finish,
    ignore_interrupt, rename, say, socket_from_raw,
};

/// Bytes of a refusal, which has to fit into one message.
const LONGEST_REASON: usize = 16 * 1024;

/// What the worker loop gets.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) link: WorkerEnd,
    pub(crate) registry: &'static Registry,
    pub(crate) worker: String,
}

/// Turns this process into the worker that `token` says, runs `serve`, and ends with its exit code.
pub(crate) fn become_worker(token: (i32, u64), stdout_aside: bool, serve: fn(Setup) -> WorkerExit) -> ! {
    let (number, nonce) = token;
    let Some(socket) = socket_from_raw(number) else {
        say("mpm: this command line belongs to a worker process; it is used once, by the program that made it");
        exit_now(WorkerExit::TokenSpent.code());
    };
    if stdout_aside {
        adopt_stdout();
    }
    ignore_interrupt();
    fault_point("started");
    match set_up(socket, nonce) {
        Ok(setup) => finish(serve(setup).code()),
        Err((exit, reason)) => {
            say(&format!("mpm: worker not started: {reason}"));
            exit_now(exit.code());
        }
    }
}

fn set_up(socket: Socket, nonce: u64) -> Result<Setup, (WorkerExit, String)> {
    let (hello, [requests, responses, ringer, lifeline]) =
        Hello::receive(&socket).map_err(|e| (WorkerExit::ParentGone, format!("no handshake from the parent: {e}")))?;
    let second_tie = arm_parent_death_signal(hello.parent);
    if let Err(error) = arm_lifeline(lifeline)
        && (error.kind() == ErrorKind::BrokenPipe || !second_tie)
    {
        return Err((WorkerExit::ParentGone, format!("the parent is gone: {error}")));
    }
    fault_point("greeted");
    rename(&hello.worker);
    let checked = check(&hello, nonce).and_then(|registry| {
        let other = socket.try_clone().map_err(|e| format!("keep the control socket: {e}"))?;
        let link = WorkerEnd::open(other, requests, responses, ringer).map_err(|e| format!("map the link: {e}"))?;
        Ok((link, registry))
    });
    let (reply, result) = match checked {
        Ok(parts) => (Reply::Ready, Ok(parts)),
        Err(mut reason) => {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
            (Reply::Refused(reason.clone()), Err((WorkerExit::HandshakeFailed, reason)))
        }
    };
    let sent = reply.send(&socket);
    let (link, registry) = result?;
    sent.map_err(|e| (WorkerExit::ParentGone, format!("the parent does not listen: {e}")))?;
    fault_point("ready");
    Ok(Setup { link, registry, worker: hello.worker })
}

fn check(hello: &Hello, nonce: u64) -> Result<&'static Registry, String> {
    if hello.protocol != PROTOCOL || hello.nonce != nonce {
        return Err("the parent speaks another version of the protocol, or the token is not its own".to_owned());
    }
    let registry = Registry::global().map_err(|e| e.to_string())?;
    let build = executable_identity().map_err(|e| format!("look at /proc/self/exe: {e}"))?;
    if build != hello.build {
        return Err("this is not the executable that the parent runs".to_owned());
    }
    if registry.fingerprint() != hello.fingerprint {
        return Err("the registered targets differ from the parent's".to_owned());
    }
    if let Some(cwd) = &hello.cwd {
        let path = Path::new(OsStr::from_bytes(cwd));
        std::env::set_current_dir(path).map_err(|e| format!("enter the working directory {}: {e}", path.display()))?;
    }
    Ok(registry)
}
