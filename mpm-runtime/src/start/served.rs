//! What the starting thread knows of one template: whether it runs, and who waits for what of it.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handshake::{Order as Message, send};
use super::launch::Launch;
use super::line::{Line, Run, Sent, is_hang_up};
use super::plan::Plan;
use super::process::how;
use super::starter::{Failure, FailureKind, Started, Then};
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
    /// From then on the template is overdue.
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
    plan: Arc<Plan>,
    is_copy: bool,
    line: Option<Line>,
    running: Arc<AtomicBool>,
    waiting: VecDeque<(Arc<Template>, Request)>,
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
                (Ok(()), Request::Fork(Fork { limit, until, then, .. })) => {
                    line.sent.push_back(Sent::Fork { template, limit, until, then });
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
        if let Some(dead) = self.dead.clone() {
            self.fail_all(&dead, FailureKind::Lasting);
        }
    }

    pub(super) fn fail_all(&mut self, reason: &str, kind: FailureKind) {
        let sent = self.line.as_mut().map(|line| std::mem::take(&mut line.sent)).unwrap_or_default();
        for sent in sent {
            match sent {
                Sent::Fork { then, .. } => then(Err(Failure::new(reason, kind))),
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
                // Nothing more comes from it; its end tells why.
                Err(_) => {
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
        line.run.is_over();
        // One that has worked had bad luck: whom it has not been asked for yet, the next one serves.
        let kept = if line.proven && kind == FailureKind::Passing { std::mem::take(&mut self.waiting) } else { VecDeque::new() };
        self.fail_all(&reason, kind);
        self.waiting = kept;
        self.line = None;
    }

    /// The process is not wanted any more. Where the template has the order already, its answer is waited for: the process may be
    /// there by now, and is for the one who ordered it to end.
    pub(super) fn give_up(&mut self, ticket: u64) {
        let is_it = |(_, request): &(Arc<Template>, Request)| matches!(request, Request::Fork(fork) if fork.ticket == ticket);
        let at = self.waiting.iter().position(is_it);
        if let Some((_, Request::Fork(fork))) = at.and_then(|at| self.waiting.remove(at)) {
            (fork.then)(Err(Failure::new("the worker is not wanted any more", FailureKind::Passing)));
        }
    }

    /// When the template is overdue, and after how long.
    fn overdue(&self) -> Option<(Instant, Duration)> {
        let line = self.line.as_ref().filter(|line| line.refused.is_none())?;
        let sent = line.sent.iter().filter_map(|sent| match sent {
            Sent::Fork { until, limit, .. } => until.map(|until| (until, *limit)),
            Sent::Reap(_) => None,
        });
        let waiting = self.waiting.iter().filter_map(|(_, request)| match request {
            Request::Fork(fork) => fork.until.map(|until| (until, fork.limit)),
            Request::Reap(_) => None,
        });
        sent.chain(waiting).min()
    }

    /// Those who wait for the exit status of a worker.
    fn reaps(&mut self) -> impl Iterator<Item = &mut Reap> {
        let waiting = self.waiting.iter_mut().filter_map(|(_, request)| match request {
            Request::Reap(reap) => Some(reap),
            Request::Fork(_) => None,
        });
        let sent = self.line.iter_mut().flat_map(|line| &mut line.sent).filter_map(|sent| match sent {
            Sent::Reap(reap) => Some(reap),
            Sent::Fork { .. } => None,
        });
        waiting.chain(sent).filter(|reap| reap.then.is_some())
    }

    pub(super) fn deadline(&mut self) -> Option<Instant> {
        let overdue = self.overdue().map(|(until, _)| until);
        self.reaps().map(|reap| reap.until).chain(overdue).min()
    }

    /// Kills a template that takes too long; its end is dealt with like any other. Who only wants to know how a worker ended need not
    /// wait for that.
    pub(super) fn enforce_deadline(&mut self, now: Instant) {
        self.reaps().filter(|reap| reap.until <= now).for_each(|reap| reap.answer(None));
        let Some((_, limit)) = self.overdue().filter(|(until, _)| *until <= now) else { return };
        let Some(line) = &mut self.line else { return };
        let pid = line.child.pid();
        let job = line.preload_job(&self.plan);
        let (what, kind) = match job {
            _ if line.serving => (format!("forked no worker within {limit:?}"), FailureKind::Passing),
            Some(job) => (format!("was not ready within {limit:?}: it runs preload job `{job}`"), FailureKind::Lasting),
            None => (format!("was not ready within {limit:?}; does main() begin with mpm::init()?"), FailureKind::Passing),
        };
        line.refused = Some((format!("the template (pid {pid}) {what}"), kind));
        line.child.kill_group();
    }
}
