//! The start of a single process, until it has its job.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::active;
use super::running::{Identity, Running};
use crate::error::{Error, Kind, Result};
use crate::registry::Registry;
use crate::start::{
    Capture, ChildProcess, Failure, FailureKind, Launch, Origin, Plan, Reply, SingleOffer, StartMethod, fork_process,
    give_way_to_spawn, kill_minded, let_go, mind, next_ticket, prepare_single, put_aside, read_reply, template_for,
};
use crate::sys::{Socket, readable_until};

/// A start under way.
pub(super) struct Start {
    pub(super) name: Arc<str>,
    pub(super) target: &'static str,
    pub(super) index: u32,
    pub(super) arguments: Vec<u8>,
    pub(super) daemon: bool,
    pub(super) streams: [Option<OwnedFd>; 3],
    pub(super) plan: Arc<Plan>,
    pub(super) registry: &'static Registry,
    pub(super) until: Option<Instant>,
    pub(super) timeout: Duration,
    pub(super) promised: bool,
}

impl Start {
    pub(super) fn run(&self, method: StartMethod, chosen: bool) -> Result<Arc<Running>> {
        let offer = SingleOffer {
            name: &self.name,
            plan: &self.plan,
            method,
            daemon: self.daemon,
            target: self.index,
            arguments: &self.arguments,
            streams: &self.streams,
            registry: self.registry,
        };
        let (socket, capture, launch) = prepare_single(&offer).map_err(|e| self.failed(e))?;
        let child = match method {
            StartMethod::Fork => fork_process(launch, self.promised).map(ChildProcess::Own).map_err(Failure::passing),
            StartMethod::Spawn => self.order(&Origin::Spawn, launch),
            StartMethod::ForkServer => {
                let template = template_for(&self.plan);
                let started = self.order(&Origin::Template(Arc::clone(&template)), launch);
                put_aside(template);
                started
            }
        };
        match child {
            Ok(child) => self.see_it_begin(child, method, socket, capture),
            Err(failure) if failure.kind == FailureKind::HasThreads && !chosen => {
                give_way_to_spawn();
                self.run(StartMethod::Spawn, true)
            }
            Err(failure) => Err(self.failed(failure.error)),
        }
    }

    /// Has the starting thread start it.
    fn order(&self, origin: &Origin, launch: Launch) -> Result<ChildProcess, Failure> {
        let (send, receive) = mpsc::sync_channel(1);
        let then = Box::new(move |started| drop(send.send(started)));
        let ordered = origin.start(launch, next_ticket(), self.timeout, then);
        ordered.map_err(|e| Failure::passing(Error::new(Kind::System, "start the starting thread").because(e)))?;
        receive.recv().unwrap_or_else(|_| Err(Failure::passing(Error::new(Kind::System, "the starting thread has ended"))))
    }

    /// Waits until the process has its job.
    fn see_it_begin(
        &self,
        child: ChildProcess,
        method: StartMethod,
        socket: Socket,
        capture: Option<Capture>,
    ) -> Result<Arc<Running>> {
        let system = |e: std::io::Error| self.failed(Error::new(Kind::System, "watch it").because(e));
        let pidfd = child.pidfd().try_clone().map_err(system)?;
        let identity = Identity { name: Arc::clone(&self.name), target: self.target, method, daemon: self.daemon };
        let running = Arc::new(Running::new(identity, child.pid(), pidfd, socket, capture));
        active::add(&running);
        let minded = Arc::clone(&running);
        let then = Box::new(move |exit| {
            active::remove(&minded);
            minded.note_end(exit);
        });
        let number = mind(child, then).map_err(|e| {
            active::remove(&running);
            system(e)
        })?;
        running.is_minded_as(number);
        match self.hear(&running) {
            Ok(()) => Ok(running),
            Err(reason) => {
                // One that refuses ends by itself, and writes why.
                running.wait(self.until);
                kill_minded(number);
                let how = running.wait(None);
                let text = reason.unwrap_or_else(|| match how {
                    Some(how) => format!("it {how} before it had its job; does main() begin with mpm::init()?"),
                    None => "it ended before it had its job".to_owned(),
                });
                let pid = running.pid;
                Err(Error::new(Kind::System, format!("start process {} (pid {pid}): {text}", self.name))
                    .with_stderr(running.last_words()))
            }
        }
    }

    /// Hears whether it begins, and why not if it says so.
    fn hear(&self, running: &Running) -> Result<(), Option<String>> {
        loop {
            // Asked first: what it said before its end is there when that is seen.
            let has_ended = running.pidfd.has_ended();
            match read_reply(running.socket()) {
                Ok(Some((Reply::Ready, _))) => return let_go(running.socket()).map_err(|_| None),
                Ok(Some((Reply::Refused(reason) | Reply::HasThreads(reason), _))) => {
                    return Err(Some(format!("it refused to start: {reason}")));
                }
                Ok(Some(_)) => {}
                Ok(None) if has_ended => return Err(None),
                Ok(None) => match readable_until(&[running.socket().as_fd(), running.pidfd.as_fd()], self.until) {
                    Ok(true) => {}
                    Ok(false) => {
                        return Err(Some(format!(
                            "it was not ready within {:?}; does main() begin with mpm::init()?",
                            self.timeout
                        )));
                    }
                    Err(error) => return Err(Some(format!("it cannot be waited for: {error}"))),
                },
                Err(_) => return Err(None),
            }
        }
    }

    fn failed(&self, error: Error) -> Error {
        Error::new(error.kind(), format!("start process {}", self.name)).because(error)
    }
}
