//! What must happen by a certain time: when the supervisor has to wake, and whom it then kills.

use std::time::Instant;

use super::core::{Core, Ending};
use super::member::{Fate, Process, State};
use super::shared::Shared;

/// Kills what is overdue.
pub(super) fn enforce_deadlines(core: &mut Core, now: Instant, shared: &Shared) {
    for process in core.all_processes_mut() {
        if process.deadline().is_some_and(|deadline| deadline <= now) {
            let fate = match process.state {
                State::Starting { .. } => {
                    let hint = match first_job(process, shared) {
                        Some(job) => format!(": it runs {job}"),
                        None => "; does main() begin with mpm::init()?".to_owned(),
                    };
                    let limit = match process.course.starting {
                        Some(_) => shared.hooks.start_timeout,
                        None => shared.settings.start_timeout,
                    };
                    Fate::Unready(format!("was not ready within {limit:?}{hint}"))
                }
                _ => Fate::Ended("the pool ended and its worker did not; it may have run in part"),
            };
            process.kill(fate);
        }
    }
}

/// The job that a starting worker runs before those of the pool.
pub(super) fn first_job(process: &Process, shared: &Shared) -> Option<String> {
    let preload = || process.preloading.and_then(|index| shared.plan.preload_name(index));
    match process.course.starting {
        Some(index) => shared.hooks.start_name(index).map(|job| format!("on_start job `{job}`")),
        None => preload().map(|job| format!("preload job `{job}`")),
    }
}

/// When the supervisor must act again, whatever happens.
pub(super) fn next_deadline(core: &Core, now: Instant) -> Option<Instant> {
    let processes = core.all_processes().filter_map(Process::deadline);
    let restarts = core
        .members
        .iter()
        .filter(|m| core.wants_start(m) && core.wants_processes())
        .filter_map(|m| m.not_before)
        // One whose time has come waits for something else: a template, or the next try of another place.
        .filter(|at| *at >= now);
    let ending = core.ending.and_then(|Ending { kill_at }| kill_at).filter(|_| core.all_processes().any(|p| !p.is_killed));
    let jobs = core.later.first().into_iter().chain(core.expiries.first()).chain(core.look.due());
    let jobs = jobs.chain(core.processes().filter(|process| process.can_be_looked_at()).filter_map(|process| process.look_at));
    let lanes = core.lanes.as_ref().and_then(|lanes| lanes.alarm);
    let workers = [core.next_look(), core.next_age(), core.next_idle(), core.next_growth(), lanes].into_iter().flatten();
    processes.chain(restarts).chain(ending).chain(jobs).chain(workers).min()
}
