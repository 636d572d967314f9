//! Workers that do not move: short jobs stay with those that are at work, and one of these may have a long one in front.
//!
//! | look | entered | left |
//! |---|---|---|
//! | off | at the beginning; after a look | jobs stay behind others while a worker is idle: asked for, and the supervisor is woken |
//! | asked for | by whoever hands out jobs | the supervisor's turn notes how far each worker has come: due |
//! | due | for the time after [`LOOK_AFTER`] | the look: whoever has not moved since is stuck; off |
//!
//! A stuck worker keeps the job that it has, gives back those behind it, and gets no other one until it answers. Then there is one
//! less at work, so that jobs go to idle workers again.

use std::time::Instant;

use super::core::Core;
use super::policy::{LOOK_AFTER, is_stuck};

/// When the supervisor looks for workers that do not move.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Look {
    #[default]
    Off,
    AskedFor,
    Due(Instant),
}

impl Look {
    pub(super) fn due(self) -> Option<Instant> {
        if let Self::Due(at) = self { Some(at) } else { None }
    }
}

impl Core {
    /// Jobs wait behind others, and stay there though a worker is idle.
    pub(super) fn ask_for_look(&mut self) {
        if matches!(self.look, Look::Off) {
            self.look = Look::AskedFor;
            self.wake = true;
        }
    }

    /// The supervisor's look, if it is due: takes back what waits behind jobs that do not end. To be called when all responses are
    /// taken in and the roster is made anew.
    pub(super) fn look_for_stuck(&mut self, now: Instant) {
        if self.look.due().is_none_or(|at| at > now) {
            return;
        }
        self.look = Look::Off;
        if !self.roster.is_uneven() {
            return;
        }
        for slot in 0..self.members.len() {
            let Some(process) = self.members.get_mut(slot).and_then(|member| member.process.as_mut()) else { continue };
            process.is_stuck = is_stuck(process.seen_done, process.jobs_done, !process.in_flight.is_empty());
            if process.is_stuck && process.takes_jobs() {
                let jobs = process.take_back_behind(&mut self.jobs_ended);
                self.requeue(jobs);
            }
        }
        self.survey();
    }

    /// Notes how far each worker has come, if a look is asked for. To be called at the end of a turn.
    pub(super) fn plan_look(&mut self, now: Instant) {
        if matches!(self.look, Look::AskedFor) {
            self.look = now.checked_add(LOOK_AFTER).map_or(Look::Off, Look::Due);
            self.processes_mut()
                .for_each(|process| process.seen_done = (!process.in_flight.is_empty()).then_some(process.jobs_done));
        }
    }
}
