//! The starts of a pool's processes: what the supervisor orders, takes over, and does about those that fail.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::course::Course;
use super::events::EventKind;
use super::member::{Fate, Process, State};
use super::policy::{AfterFailedStart, FailedStart, after_failed_start};
use super::policy_recycle::{quota, spread, too_often};
use super::policy_watch::Seen;
use super::shared::News;
use super::supervisor::{Supervisor, exit_key, reply_key};
use crate::error::{Error, Kind};
use crate::start::{Failure, FailureKind, Offer, Origin, StartMethod, Started, give_way_to_spawn, next_ticket, prepare};
use crate::sys::{oom_kills, random};

impl Supervisor {
    /// Takes a process from the starting thread.
    pub(super) fn adopt(&mut self, core: &mut Core, incarnation: u64, started: Started) {
        let method = core.method;
        let Some(process) = core.find_mut(incarnation) else { return };
        let watched = started.and_then(|child| {
            let watched = self.poller.watch(&child, exit_key(incarnation));
            let watched = watched.and_then(|()| self.poller.watch(&process.link, reply_key(incarnation)));
            let error = |e| Error::new(Kind::System, format!("watch worker {}", process.worker)).because(e);
            watched.map(|()| child).map_err(|e| Failure { error: error(e), kind: FailureKind::Passing })
        });
        match watched {
            Ok(child) => {
                if let Some(run) = child.run() {
                    let former = self.run.replace(run.clone()).filter(|former| !former.is(run));
                    let reason = former.and_then(|former| former.end());
                    reason.into_iter().for_each(|reason| {
                        self.shared.callbacks.emit(|| EventKind::TemplateRestarted { reason });
                    });
                }
                if process.fate.is_some() {
                    child.kill_group();
                }
                if let State::Starting { deadline } = &mut process.state {
                    *deadline = Instant::now().checked_add(self.shared.settings.start_timeout);
                }
                process.child = Some(child);
                process.begins(&self.shared.callbacks, method);
            }
            Err(failure) => self.not_started(core, incarnation, failure),
        }
    }

    /// Deals with a process that could not be made.
    pub(super) fn not_started(&mut self, core: &mut Core, incarnation: u64, Failure { error, kind }: Failure) {
        let Some(process) = core.find_mut(incarnation) else { return };
        // Should a template have made it all the same, it finds that it is to end.
        process.link.stop();
        let was_wanted = !matches!(process.fate, Some(Fate::Ended(_)));
        let error = Error::new(Kind::System, format!("start worker {}", process.worker)).because(error);
        let slot = self.vacate(core, incarnation);
        let Some(slot) = slot.filter(|_| was_wanted) else { return };
        match kind {
            FailureKind::HasThreads if !self.chosen => {
                // Nobody has asked for a template: what else works will do.
                give_way_to_spawn();
                self.method = StartMethod::Spawn;
                self.origin = Origin::Spawn;
                core.method = self.method;
            }
            FailureKind::HasThreads | FailureKind::Lasting => self.start_failed(core, slot, FailedStart::Lasting, &error),
            FailureKind::Passing => self.start_failed(core, slot, FailedStart::Passing, &error),
        }
    }

    /// Decides what to do about a process that was of no use.
    pub(super) fn start_failed(&mut self, core: &mut Core, slot: usize, kind: FailedStart, error: &Error) {
        let count = if let FailedStart::WasReady { early } = kind {
            core.early_deaths = if early { core.early_deaths + 1 } else { 0 };
            core.early_deaths
        } else {
            core.failures += u32::from(!self.failed_now);
            self.failed_now = true;
            core.failures
        };
        let promising = core.all_processes().filter(|p| p.is_promising()).count();
        let now = Instant::now();
        let is_late = matches!(kind, FailedStart::WasReady { early: false });
        let in_slot = core.members.get_mut(slot).map_or(1, |member| {
            // One that lived for long says nothing about the next.
            member.failures = if is_late { 0 } else { member.failures.saturating_add(1) };
            member.failures
        });
        let too_many = if is_late { None } else { core.note_useless(now, error) };
        let then = match &too_many {
            Some(_) => AfterFailedStart::GiveUp,
            None => after_failed_start(kind, count, in_slot, promising),
        };
        self.shared.callbacks.emit(|| EventKind::StartFailed {
            worker: self.shared.worker_name(u32::try_from(slot).unwrap_or(u32::MAX)).into(),
            reason: error.to_string().into(),
            retry_in: if let AfterFailedStart::RetryAfter(wait) = then { Some(wait) } else { None },
        });
        if let Some(reason) = too_many {
            return core.fail(&reason);
        }
        match then {
            AfterFailedStart::GiveUp => core.fail(&error.to_string().into()),
            AfterFailedStart::RetryAfter(wait) => {
                if let Some(member) = core.members.get_mut(slot) {
                    member.not_before = now.checked_add(spread(wait, random()));
                }
            }
        }
    }

    /// Starts a process in every slot that shall have one, and a successor where one will be needed.
    pub(super) fn fill_slots(&mut self, core: &mut Core, now: Instant) {
        if !core.wants_processes() {
            return;
        }
        for slot in 0..core.members.len() {
            let wants_one = |core: &Core| {
                core.members
                    .get(slot)
                    .is_some_and(|member| core.wants_start(member) && member.not_before.is_none_or(|at| at <= now))
            };
            while wants_one(core) {
                if self.waits_for_template(core) {
                    return;
                }
                if let Err(error) = self.start(core, slot) {
                    self.start_failed(core, slot, FailedStart::Passing, &error);
                    // What was wanting here will be wanting for the others; each tries again at its time.
                    return;
                }
            }
        }
    }

    /// Whether a template has still to come for the process that was ordered first. It needs descriptors too, which those of further orders
    /// might take up; and they would gain nothing.
    fn waits_for_template(&self, core: &Core) -> bool {
        let is_ordered = |p: &Process| p.child.is_none() && matches!(p.state, State::Starting { .. });
        matches!(&self.origin, Origin::Template(template) if !template.is_running()) && core.all_processes().any(is_ordered)
    }

    fn start(&mut self, core: &mut Core, slot: usize) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let Some(member) = core.members.get_mut(slot) else { return Ok(()) };
        member.not_before = None;
        let quota = quota(&core.limits, random());
        let worker: Arc<str> = self.shared.worker_name(member.slot).into();
        let offer = Offer {
            worker: &worker,
            index: member.slot,
            plan: &self.shared.plan,
            method: self.method,
            max_jobs: quota.unwrap_or(0),
            objects: settings.objects,
            hooks: &self.shared.hooks.jobs,
            cpus: settings.share(),
            doorbell: &self.shared.doorbell,
            registry: self.shared.registry,
        };
        // A kill that may have been the end of the one before is not explained yet.
        let gone = member.process.as_ref().filter(|process| process.is_gone);
        let oom_kills_before = gone.map_or_else(oom_kills, |gone| gone.oom_kills_before);
        let failed = |what: String| move |e: io::Error| Error::new(Kind::System, what).because(e);
        let (link, capture, launch) =
            prepare(&offer).map_err(|e| Error::new(Kind::System, format!("start worker {worker}")).because(e))?;
        let incarnation = next_ticket();
        let shared = Arc::clone(&self.shared);
        let then = Box::new(move |started| shared.deliver(News::Started(incarnation, started)));
        self.origin.start(launch, incarnation, settings.start_timeout, then).map_err(failed(format!("start worker {worker}")))?;
        link.limit_size(core.limits.max_size().unwrap_or(0));
        let process = Process {
            incarnation,
            slot: member.slot,
            worker,
            state: State::Starting { deadline: None },
            link,
            capture,
            child: None,
            origin: self.origin.clone(),
            in_flight: std::collections::VecDeque::new(),
            more: 0,
            jobs_done: 0,
            quota,
            oom_kills_before,
            fate: None,
            is_killed: false,
            reason: None,
            weight: 0,
            replace: None,
            course: Course::default(),
            is_gone: false,
            refused: None,
            preloading: None,
            last_used: 0,
            idle_since: None,
            seen: Seen::default(),
            spent: false,
            is_listed: false,
            is_link_full: false,
            seen_done: None,
            is_stuck: false,
            attended_for: None,
            watched_until: 0,
            look_at: None,
            overdue: None,
        };
        if member.process.is_none() {
            member.process = Some(process);
        } else {
            member.next.push_back(process);
        }
        Ok(())
    }
}

impl Core {
    /// Counts one more process that was of no use; why the pool fails, if these are too many.
    fn note_useless(&mut self, now: Instant, error: &Error) -> Option<Arc<str>> {
        let (most, per) = self.limits.restart_limit?;
        let text = || format!("more than {most} workers within {per:?} were of no use; the last one: {error}");
        too_often(&mut self.useless, now, most, per).then(|| text().into())
    }
}
