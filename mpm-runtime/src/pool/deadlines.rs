//! What must happen by a certain time: when the supervisor has to wake, and whom it then kills.

use std::time::{Duration, Instant};

use super::core::{Core, Ending};
use super::member::{Fate, Process, State};
use crate::start::Plan;

/// Kills what is overdue.
pub(super) fn enforce_deadlines(core: &mut Core, now: Instant, start_timeout: Duration, plan: &Plan) {
    for process in core.all_processes_mut() {
        if process.deadline().is_some_and(|deadline| deadline <= now) {
            let fate = match process.state {
                State::Starting { .. } => {
                    let hint = match process.preloading.and_then(|index| plan.preload_name(index)) {
                        Some(job) => format!(": it runs preload job `{job}`"),
                        None => "; does main() begin with mpm::init()?".to_owned(),
                    };
                    Fate::Unready(format!("was not ready within {start_timeout:?}{hint}"))
                }
                _ => Fate::Ended("the pool ended and its worker did not; it may have run in part"),
            };
            process.kill(fate);
        }
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
    let ending = core.ending.and_then(|Ending { kill_at }| kill_at).filter(|_| core.all_processes().any(|p| p.fate.is_none()));
    let limits = [core.next_look(), core.next_age(), core.next_idle(), core.next_growth()].into_iter().flatten();
    processes.chain(restarts).chain(ending).chain(limits).min()
}
