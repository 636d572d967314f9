//! What takes too long: an order, which fails alone; a template that keeps all waiting, which is killed.
//!
//! Who waits with the most patience decides about a template, since others may share it with him. One that prepares is
//! killed when that one's order is overdue; one that serves, when it has answered nobody for as long as that one waits.

use std::time::{Duration, Instant};

use super::line::Sent;
use super::served::{Fork, Reap, Request, Served};
use super::starter::{Failure, FailureKind};

impl Served {
    /// When the template is to be killed.
    fn stalled(&self) -> Option<Instant> {
        let line = self.line.as_ref().filter(|line| line.refused.is_none())?;
        let sent = || line.sent.iter().filter_map(sent_limit);
        let waiting = || self.waiting.iter().filter_map(|(_, request)| fork(request)).map(|fork| (fork.until, fork.limit));
        let patience = sent().chain(waiting()).map(|(_, limit)| limit).max()?;
        if !line.serving {
            return waiting().filter(|(_, limit)| *limit == patience).filter_map(|(until, _)| until).min();
        }
        let (until, limit) = sent().next()?;
        // What it was ordered while it had nothing to do, it might have done since.
        let ordered = until.and_then(|until| until.checked_sub(limit));
        ordered.map_or(line.progress, |ordered| ordered.max(line.progress)).checked_add(patience)
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

    /// When the next order for a fork is overdue.
    fn next_overdue(&self) -> Option<Instant> {
        let line = self.line.as_ref().filter(|line| line.refused.is_none())?;
        let sent = line.sent.iter().filter_map(|sent| match sent {
            Sent::Fork { fails_at, then: Some(_), .. } => *fails_at,
            _ => None,
        });
        sent.chain(self.waiting.iter().filter_map(|(_, request)| fork(request)?.until)).min()
    }

    pub(super) fn deadline(&mut self) -> Option<Instant> {
        let forks = self.next_overdue().into_iter().chain(self.stalled()).min();
        self.reaps().map(|reap| reap.until).chain(forks).min()
    }

    /// Fails what is overdue. Who only wants to know how a worker ended need not wait for the template; its end, if it is killed, is
    /// dealt with like any other.
    pub(super) fn enforce_deadline(&mut self, now: Instant) {
        self.reaps().filter(|reap| reap.until <= now).for_each(|reap| reap.answer(None));
        if self.stalled().is_some_and(|at| at <= now) {
            return self.kill_template();
        }
        if self.next_overdue().is_none_or(|at| at > now) {
            return;
        }
        let late = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let mut failed = Vec::new();
        for sent in self.line.iter_mut().flat_map(|line| &mut line.sent) {
            if let Sent::Fork { fails_at, limit, then, .. } = sent
                && late(*fails_at)
            {
                failed.extend(then.take().map(|then| (then, *limit)));
            }
        }
        for (template, request) in std::mem::take(&mut self.waiting) {
            match request {
                Request::Fork(fork) if late(fork.until) => failed.push((fork.then, fork.limit)),
                other => self.waiting.push_back((template, other)),
            }
        }
        for (then, limit) in failed {
            if let Some((reason, kind)) = self.lateness(limit) {
                then(Err(Failure::new(&reason, kind)));
            }
        }
    }

    fn kill_template(&mut self) {
        let sent = self.line.iter().flat_map(|line| &line.sent).filter_map(sent_limit).map(|(_, limit)| limit);
        let limits = sent.chain(self.waiting.iter().filter_map(|(_, request)| Some(fork(request)?.limit)));
        let reason = self.lateness(limits.max().unwrap_or_default());
        if let Some(line) = &mut self.line {
            line.refused = reason;
            line.child.kill_group();
        }
    }

    /// What to say of a template that let an order wait for so long.
    fn lateness(&self, limit: Duration) -> Option<(String, FailureKind)> {
        let line = self.line.as_ref()?;
        let pid = line.child.pid();
        let (what, kind) = match line.preload_job(&self.plan) {
            _ if line.serving => (format!("forked no worker within {limit:?}"), FailureKind::Passing),
            Some(job) => (format!("was not ready within {limit:?}: it runs preload job `{job}`"), FailureKind::Lasting),
            None => (format!("was not ready within {limit:?}; does main() begin with mpm::init()?"), FailureKind::Passing),
        };
        Some((format!("the template (pid {pid}) {what}"), kind))
    }
}

fn fork(request: &Request) -> Option<&Fork> {
    match request {
        Request::Fork(fork) => Some(fork),
        Request::Reap(_) => None,
    }
}

/// When an order for a fork is overdue, and after how long, whether it is still wanted or not.
fn sent_limit(sent: &Sent) -> Option<(Option<Instant>, Duration)> {
    match sent {
        Sent::Fork { until, limit, .. } => Some((*until, *limit)),
        Sent::Reap(_) => None,
    }
}
