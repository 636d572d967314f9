//! A worker's process as the parent holds it: its own child, or the child of its template.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::line::Run;
use super::starter::reap_in_background;
use super::template::Template;
use crate::error::HowItEnded;
use crate::sys::{Child, Exit, Pidfd, kill_own_group_of, signal_name};

/// An exit in the words of a report.
pub(crate) fn how(exit: Exit) -> HowItEnded {
    match (exit.signal(), exit.code()) {
        (Some(number), _) => HowItEnded::Signal { number, name: signal_name(number), core_dumped: exit.core_dumped() },
        (None, Some(code)) => HowItEnded::Exited(code),
        (None, None) => HowItEnded::Unknown,
    }
}

/// A started process that has not been reaped yet, or how it ended.
#[derive(Debug)]
pub(crate) enum ChildProcess {
    Own(Child),
    Forked(Forked),
}

/// Whether a process has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Runs,
    /// It has, and its template is asked how.
    Asked,
    Done(Exit),
}

/// A child of a template, which reaps it when it is told to. Until then its number is its own.
#[derive(Debug)]
pub(crate) struct Forked {
    pid: i32,
    pidfd: Pidfd,
    template: Arc<Template>,
    /// Its template's life: a later one is not its parent.
    run: Run,
    state: Reaping,
    /// The process that holds this, and not a copy of it.
    owner: u32,
}

#[derive(Debug)]
enum Reaping {
    Alive,
    Asked,
    Done(Exit),
}

impl Forked {
    pub(super) fn new(pid: i32, pidfd: Pidfd, template: Arc<Template>, run: Run) -> Self {
        Self { pid, pidfd, template, run, state: Reaping::Alive, owner: std::process::id() }
    }

    fn kill_group(&self) {
        if matches!(self.state, Reaping::Alive) && !self.pidfd.kill_group() && self.run.is_on() {
            kill_own_group_of(self.pid);
        }
    }
}

impl ChildProcess {
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Own(child) => child.pid(),
            Self::Forked(forked) => u32::try_from(forked.pid).unwrap_or(0),
        }
    }

    pub(crate) fn pidfd(&self) -> &Pidfd {
        match self {
            Self::Own(child) => child.pidfd(),
            Self::Forked(forked) => &forked.pidfd,
        }
    }

    /// The life of the template that has forked it.
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Self::Own(_) => None,
            Self::Forked(forked) => Some(&forked.run),
        }
    }

    /// Kills it and everything in its process group.
    pub(crate) fn kill_group(&self) {
        match self {
            Self::Own(child) => child.kill_group(),
            Self::Forked(forked) => forked.kill_group(),
        }
    }

    /// Sends SIGTERM to everything in its process group.
    pub(crate) fn terminate_group(&self) {
        let runs = match self {
            Self::Own(child) => child.runs(),
            Self::Forked(forked) => matches!(forked.state, Reaping::Alive),
        };
        if runs {
            self.pidfd().terminate_group();
        }
    }

    /// Looks whether it has ended. A template is asked the first time that it has; `then` gets the answer, which belongs into
    /// [`reaped`](Self::reaped), on another thread.
    pub(crate) fn reap(&mut self, then: impl FnOnce(Option<Exit>) + Send + 'static) -> Ending {
        match self {
            Self::Own(child) => child.try_reap().map_or(Ending::Runs, Ending::Done),
            Self::Forked(forked) => {
                if matches!(forked.state, Reaping::Alive) && forked.pidfd.has_ended() {
                    // What it left running, while its group's number is still bound to it.
                    forked.kill_group();
                    forked.state = Reaping::Asked;
                    reap_in_background(&forked.template, &forked.run, forked.pid, Box::new(then));
                }
                match forked.state {
                    Reaping::Alive => Ending::Runs,
                    Reaping::Asked => Ending::Asked,
                    Reaping::Done(exit) => Ending::Done(exit),
                }
            }
        }
    }

    /// Takes the template's answer; `None` where its template is gone, and the system reaps it, or does not answer.
    pub(crate) fn reaped(&mut self, answer: Option<Exit>) {
        if let Self::Forked(forked) = self {
            let exit = answer.unwrap_or_else(|| Exit { status: forked.pidfd.wait_status(forked.pid), max_rss: 0 });
            forked.state = Reaping::Done(exit);
        }
    }
}

impl AsFd for ChildProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd().as_fd()
    }
}

impl Drop for Forked {
    /// Leaves neither a running process nor a zombie.
    fn drop(&mut self) {
        if matches!(self.state, Reaping::Alive) && self.owner == std::process::id() {
            self.kill_group();
            reap_in_background(&self.template, &self.run, self.pid, Box::new(drop));
        }
    }
}
