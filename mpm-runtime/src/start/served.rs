//! What the starting thread knows of one template: whether it runs, and who waits for what of it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handshake::{Order as Message, send};
use super::launch::Launch;
use super::line::{Line, Run, Sent, is_hang_up};
use super::plan::Plan;
use super::process::how;
use super::starter::{Failure, FailureKind, PATIENCE, Started, Then};
use super::template::Template;
use crate::error::{Error, Kind};
use crate::link::sync::{AtomicBool, Ordering};
use crate::sys::{Exit, Poller};

/// Orders that a template has at once: enough that it never waits for the next.
const WINDOW: usize = 4;

/// Who waits for a worker.
pub(super) struct Fork {
    /// By which it can be given up.
    pub(super) ticket: u64,
    pub(super) launch: Launch,
    pub(super) limit: Duration,
    /// From then on it is overdue.
    pub(super) until: Option<Instant>,
    pub(super) then: Then<Started>,
}

/// Who waits for the exit status of one.
pub(super) struct Reap {
    pub(super) pid: i32,
    /// The life of the template that has forked it.
    pub(super) run: Run,
    /// From then on it is answered without the template, which may have been stopped.
    pub(super) until: Instant,
    /// `None` once it is answered.
    pub(super) then: Option<Then<Option<Exit>>>,
}

impl Reap {
    pub(super) fn answer(&mut self, exit: Option<Exit>) {
        if let Some(then) = self.then.take() {
            then(exit);
        }
    }
}

pub(super) enum Request {
    Fork(Fork),
    Reap(Reap),
}

/// What this thread knows of one template.
pub(super) struct Served {
    pub(super) plan: Arc<Plan>,
    is_copy: bool,
    pub(super) line: Option<Line>,
    running: Arc<AtomicBool>,
    pub(super) waiting: VecDeque<(Arc<Template>, Request)>,
    /// Why it will never run again.
    dead: Option<Arc<str>>,
}

impl Served {
    pub(super) fn new(template: &Template) -> Self {
        Self {
            plan: Arc::clone(&template.plan),
            is_copy: template.is_copy,
            line: None,
            running: Arc::clone(&template.running),
            waiting: VecDeque::new(),
            dead: None,
        }
    }

    pub(super) fn ask(&mut self, template: Arc<Template>, request: Request) {
        self.waiting.push_back((template, request));
    }

    /// Its process runs.
    pub(super) fn take_up(&mut self, line: Line) {
        self.line = Some(line);
        // Relaxed: whoever asks can be answered a moment too late in any case.
        self.running.store(true, Ordering::Relaxed);
    }

    /// It will never run again.
    pub(super) fn is_lost(&mut self, reason: &str) {
        self.dead = Some(reason.into());
    }

    /// Nobody uses it any more.
    pub(super) fn forget(self, poller: &Poller) {
        if let Some(line) = self.line {
            line.forget(poller);
        }
    }

    /// Does what can be done now.
    pub(super) fn advance(&mut self, id: u64, poller: &Poller) {
        if self.line.is_none() {
            self.answer_without_template();
            if self.waiting.is_empty() {
                return;
            }
            match Line::start(&self.plan).and_then(|line| line.watched(poller, id)) {
                Ok(line) => self.take_up(line),
                Err(error) => return self.fail_all(&error.to_string(), FailureKind::Passing),
            }
        }
        let Some(line) = self.line.as_mut().filter(|line| line.serving && line.refused.is_none()) else { return };
        while line.sent.len() < WINDOW
            && let Some((template, mut request)) = self.waiting.pop_front()
        {
            if let Request::Reap(reap) = &mut request
                && !reap.run.is_on()
            {
                // Its parent was an earlier one, and its number may be a stranger's by now.
                reap.answer(None);
                continue;
            }
            let result = match &request {
                Request::Fork(fork) => {
                    let fds = [fork.launch.control.as_fd(), fork.launch.stderr.as_fd()];
                    send(&line.socket, &Message::Fork { nonce: fork.launch.nonce }, &fds)
                }
                Request::Reap(reap) => send(&line.socket, &Message::Reap { pid: reap.pid }, &[]),
            };
            match (result, request) {
                (Ok(()), Request::Fork(Fork { ticket, limit, until, then, .. })) => {
                    line.sent.push_back(Sent::Fork { ticket, template, limit, until, fails_at: until, then: Some(then) });
                }
                (Ok(()), Request::Reap(reap)) => line.sent.push_back(Sent::Reap(reap)),
                // It has died, which is about to be seen; or the system carries no more descriptors before it has taken some.
                (Err(error), request) if line.has_ended() || is_hang_up(&error) || !line.sent.is_empty() => {
                    self.waiting.push_front((template, request));
                    return;
                }
                (Err(error), Request::Fork(fork)) => {
                    let error =
                        Error::new(Kind::System, format!("ask the template for worker {}", fork.launch.name)).because(error);
                    (fork.then)(Err(Failure { error, kind: FailureKind::Passing }));
                }
                (Err(_), Request::Reap(mut reap)) => reap.answer(None),
            }
        }
    }

    /// Whoever waits for a template that will not come.
    fn answer_without_template(&mut self) {
        // A worker of a template that has died was reaped by the system.
        for (template, request) in std::mem::take(&mut self.waiting) {
            match request {
                Request::Reap(mut reap) => reap.answer(None),
                Request::Fork(fork) => self.waiting.push_back((template, Request::Fork(fork))),
            }
        }
        if self.is_copy {
            // A template of its own by exec would not be what was asked for.
            self.dead.get_or_insert_with(|| "the template, a copy of this process, is lost and cannot be made anew".into());
        }
        if let Some(dead) = self.dead.clone() {
            self.fail_all(&dead, FailureKind::Lasting);
        }
    }

    pub(super) fn fail_all(&mut self, reason: &str, kind: FailureKind) {
        let sent = self.line.as_mut().map(|line| std::mem::take(&mut line.sent)).unwrap_or_default();
        for sent in sent {
            match sent {
                Sent::Fork { then, .. } => then.into_iter().for_each(|then| then(Err(Failure::new(reason, kind)))),
                Sent::Reap(mut reap) => reap.answer(None),
            }
        }
        for (_, request) in std::mem::take(&mut self.waiting) {
            match request {
                Request::Fork(fork) => (fork.then)(Err(Failure::new(reason, kind))),
                Request::Reap(mut reap) => reap.answer(None),
            }
        }
    }

    /// Reads what the template says.
    pub(super) fn hear(&mut self, poller: &Poller) {
        let Some(line) = &mut self.line else { return };
        loop {
            let heard = if line.serving { line.hear_answer() } else { line.hear_reply(&self.plan) };
            match heard {
                Ok(true) => {}
                Ok(false) => return,
                // Nothing more comes from it; its end tells why, unless that is made here.
                Err(error) => {
                    if line.refused.is_none() && error.kind() != ErrorKind::UnexpectedEof && !line.has_ended() {
                        let pid = line.child.pid();
                        line.refused = Some((format!("the template (pid {pid}) had to be killed: {error}"), FailureKind::Passing));
                    }
                    poller.forget(&line.socket);
                    line.child.kill_group();
                    return;
                }
            }
        }
    }

    /// Deals with a template that has ended.
    pub(super) fn bury(&mut self, poller: &Poller) {
        self.hear(poller);
        let Some(line) = &mut self.line else { return };
        let Some(exit) = line.child.try_reap() else { return };
        line.forget(poller);
        let stderr = line.capture.finish();
        let pid = line.child.pid();
        let (mut reason, mut kind) = line.refused.take().unwrap_or_else(|| {
            let when = match line.preload_job(&self.plan) {
                _ if line.serving => String::new(),
                Some(job) => format!(" while it ran preload job `{job}`"),
                None if self.is_copy => " before it was ready".to_owned(),
                None => " before it was ready; does main() begin with mpm::init()?".to_owned(),
            };
            (format!("the template (pid {pid}) {}{when}", how(exit)), FailureKind::Passing)
        });
        if self.is_copy && kind == FailureKind::Passing {
            reason.push_str("; it was a copy of this process at the moment when the pool was built, and cannot be made anew");
            kind = FailureKind::Lasting;
        }
        let reason = Error::new(Kind::System, reason).with_stderr(stderr).to_string();
        if self.is_copy {
            self.dead = Some(reason.as_str().into());
        }
        self.running.store(false, Ordering::Relaxed);
        line.run.is_over(&reason);
        // One that has worked had bad luck: whom it has not been asked for yet, the next one serves.
        let kept = if line.proven && kind == FailureKind::Passing { std::mem::take(&mut self.waiting) } else { VecDeque::new() };
        self.fail_all(&reason, kind);
        self.waiting = kept;
        self.line = None;
    }

    /// The process is not wanted any more. Where the template has the order already, its answer is waited for a moment: the process may
    /// be there by now, and is for the one who ordered it to end.
    pub(super) fn give_up(&mut self, ticket: u64) {
        let is_it = |(_, request): &(Arc<Template>, Request)| matches!(request, Request::Fork(fork) if fork.ticket == ticket);
        let at = self.waiting.iter().position(is_it);
        if let Some((_, Request::Fork(fork))) = at.and_then(|at| self.waiting.remove(at)) {
            return (fork.then)(Err(Failure::new("the worker is not wanted any more", FailureKind::Passing)));
        }
        let soon = Instant::now() + PATIENCE;
        for sent in self.line.iter_mut().flat_map(|line| &mut line.sent) {
            if let Sent::Fork { ticket: known, fails_at, .. } = sent
                && *known == ticket
            {
                *fails_at = Some(fails_at.map_or(soon, |at| at.min(soon)));
            }
        }
    }
}
