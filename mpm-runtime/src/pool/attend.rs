//! Who looks for responses when: a waiting thread by itself, or the supervisor when a worker calls.
//!
//! | a link | is looked at by | its worker calls |
//! |---|---|---|
//! | with nothing in flight | nobody | nobody |
//! | whose job a thread waits for: attended | that thread, while it spins | nobody |
//! | the same | that thread, asleep on the link | that thread, by a futex call |
//! | any other | the supervisor, asleep | the supervisor, by the doorbell |
//!
//! A call is asked for at the response at which somebody has to look at the latest ([`due`]), so that a burst of short jobs costs a
//! few calls and not one each. Whoever asks for a call looks once more before he relies on it.

use std::sync::Arc;

use super::cell::{Cell, Facts, Place};
use super::core::Core;
use super::member::Process;
use super::policy::{due, worth_a_spin};
use crate::link::{Call, Glance, armed};

/// What a thread has that attends a link.
#[derive(Debug)]
pub(super) struct View {
    slot: usize,
    incarnation: u64,
    pub(super) glance: Glance,
    /// How often it is worth while to look before the first sleep.
    pub(super) spins: u32,
}

impl View {
    pub(super) fn slot(&self) -> usize {
        self.slot
    }
}

impl Core {
    /// Begins to attend the link that has the job of `cell`, if nobody does.
    pub(super) fn attend(&mut self, cell: &Arc<Cell>) -> Option<View> {
        let (slot, _) = self.whereabouts(cell)?;
        let is_worth_it = worth_a_spin(self.mean, self.roster.busy(), self.cpus);
        let spins = if is_worth_it { self.patience.spins() } else { 0 };
        let process = self.members.get_mut(slot)?.process.as_mut()?;
        if process.attended_for.is_some() || process.is_killed {
            return None;
        }
        process.attended_for = Some(Arc::clone(cell));
        process.link.want(Call::None);
        Some(View { slot, incarnation: process.incarnation, glance: process.link.glance(), spins })
    }

    /// The slot of the member that has the job of `cell`, and how many jobs are in front of it there.
    pub(super) fn whereabouts(&self, cell: &Arc<Cell>) -> Option<(usize, u32)> {
        let Place::Member(slot, number) = cell.place() else { return None };
        let slot = usize::try_from(slot).ok()?;
        let process = self.members.get(slot)?.process.as_ref()?;
        let position = number.wrapping_sub(process.link.oldest());
        // A job that has ended has the place where it was last, which another one may have now.
        let job = process.in_flight.get(usize::try_from(position).ok()?)?;
        Arc::ptr_eq(&job.cell, cell).then_some((slot, position))
    }

    /// The process whose link the view is of, unless it was killed.
    pub(super) fn attended(&mut self, view: &View) -> Option<&mut Process> {
        let process = self.members.get_mut(view.slot)?.process.as_mut()?;
        (process.incarnation == view.incarnation && !process.is_killed).then_some(process)
    }

    /// Takes in what has come on the attended link, and hands out what can be handed out then. False if there is nothing to be
    /// seen on it any more.
    pub(super) fn look(&mut self, view: &mut View) -> bool {
        if self.attended(view).is_some() && self.drain_slot(view.slot) {
            self.dispatch();
        }
        let glance = self.attended(view).map(|process| process.link.glance());
        let is_there = glance.is_some();
        view.glance = glance.unwrap_or_else(|| view.glance.clone());
        is_there
    }

    /// Who has the job of `cell`.
    pub(super) fn facts_so_far(&self, cell: &Arc<Cell>) -> Facts {
        let process = self.whereabouts(cell).and_then(|(slot, _)| self.members.get(slot)?.process.as_ref());
        Facts { worker: process.map(|process| (process.slot, process.pid())), ..Facts::default() }
    }

    /// Takes in what has come on the link that has the job of `cell`.
    pub(super) fn look_for(&mut self, cell: &Arc<Cell>) {
        if let Some((slot, _)) = self.whereabouts(cell)
            && self.drain_slot(slot)
        {
            self.dispatch();
        }
    }

    /// Whether the job of `cell` is still on the attended link.
    pub(super) fn is_at(&self, view: &View, cell: &Arc<Cell>) -> bool {
        self.whereabouts(cell).is_some_and(|(slot, _)| slot == view.slot)
    }

    /// Asks for a call to the attending thread, at the response to its job at the latest. False if the job is not there any more.
    pub(super) fn ask_for_call(&mut self, view: &View, cell: &Arc<Cell>) -> bool {
        let Some((_, position)) = self.whereabouts(cell).filter(|(slot, _)| *slot == view.slot) else { return false };
        let (mean, is_waited_for) = (self.mean, self.waiting > 0);
        let Some(process) = self.attended(view) else { return false };
        let steps = process.due(mean, is_waited_for).min(position);
        process.link.want(Call::Thread(process.number_after(steps)));
        true
    }

    /// The attending thread leaves; the worker calls the supervisor from now on.
    pub(super) fn leave(&mut self, view: &View) {
        if let Some(process) = self.attended(view) {
            process.attended_for = None;
            if !process.in_flight.is_empty() {
                self.rely_on_call(view.slot);
            }
        }
    }

    /// Somebody wants to know of the end of `cell`'s job when it comes.
    pub(super) fn note_watched(&mut self, cell: &Arc<Cell>) {
        cell.set_watched();
        if let Some((slot, position)) = self.whereabouts(cell)
            && let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut())
        {
            let end = process.link.oldest().wrapping_add(position).wrapping_add(1);
            if !process.is_watched() || end.wrapping_sub(process.watched_until) < u32::MAX / 2 {
                process.watched_until = end;
            }
            self.rely_on_call(slot);
        }
    }

    /// Asks for the call of a link's worker, and looks once more.
    fn rely_on_call(&mut self, slot: usize) {
        let has_news = |core: &mut Self| {
            let Some(call) = core.call_for(slot).or_else(|| core.sooner_call_for(slot)) else { return false };
            let Some(process) = core.members.get_mut(slot).and_then(|m| m.process.as_mut()) else { return false };
            process.link.want(call);
            armed();
            process.link.glance().has_news()
        };
        if has_news(self) {
            self.drain_slot(slot);
            self.dispatch();
            // What comes so fast that there is more already is the supervisor's business.
            self.wake |= has_news(self);
        }
    }

    /// Asks all workers for their calls. False, and nothing is to be waited for, when a response has come meanwhile.
    pub(super) fn arm(&mut self) -> bool {
        for slot in 0..self.members.len() {
            if let Some(call) = self.call_for(slot)
                && let Some(process) = self.members.get_mut(slot).and_then(|m| m.process.as_mut())
            {
                process.link.want(call);
            }
        }
        armed();
        !self.drain()
    }

    /// At which response the worker of a slot has to call the supervisor, if that shall rely on it.
    fn call_for(&self, slot: usize) -> Option<Call> {
        let process = self.members.get(slot)?.process.as_ref()?;
        if process.attended_for.is_some() || process.in_flight.is_empty() {
            return None;
        }
        Some(Call::Doorbell(process.number_after(process.due(self.mean, self.waiting > 0))))
    }

    /// For a link that a thread attends asleep: a call to that thread, if it has to look sooner than it has asked for. One that is
    /// awake will ask, or looks anyway.
    fn sooner_call_for(&self, slot: usize) -> Option<Call> {
        let process = self.members.get(slot)?.process.as_ref().filter(|process| process.attended_for.is_some())?;
        let (Call::Thread(known), oldest) = (process.link.wanted(), process.link.oldest()) else { return None };
        let number = process.number_after(process.due(self.mean, self.waiting > 0));
        // That of the next result of a chunk comes before all others. One that was passed has been made, or will be at the next
        // response.
        let turn = |number: u32| number.wrapping_add(1).wrapping_sub(oldest);
        (turn(known) < u32::MAX / 2 && turn(number) < turn(known)).then_some(Call::Thread(number))
    }

    /// As `call_for`, for a link whose worker gets more jobs: the call that was asked for is kept if it comes soon enough and not too
    /// soon, so that not each job means another one, and none comes while somebody looks often enough.
    ///
    /// No response is missed: if the worker has answered beyond the new call's number already, it has also passed the old one's, and
    /// has called; and the jobs that are published next are answered after the new call was asked for.
    pub(super) fn call_with_more(&self, slot: usize) -> Option<Call> {
        let call = self.call_for(slot)?;
        let process = self.members.get(slot)?.process.as_ref()?;
        let steps = |call| match call {
            Call::Doorbell(number) => number.wrapping_sub(process.link.oldest()),
            _ => u32::MAX,
        };
        let (known, new) = (steps(process.link.wanted()), steps(call));
        // One that each result of a chunk answers is never known to be still to come.
        (known > new || known < new / 2 || new == u32::MAX).then_some(call)
    }
}

impl Process {
    pub(super) fn is_watched(&self) -> bool {
        let steps = self.watched_until.wrapping_sub(self.link.oldest());
        steps > 0 && steps <= self.link.in_flight()
    }

    /// The number of the response that so many others come before. Each result of a chunk that is waited for counts, as one more
    /// response to the request before.
    fn number_after(&self, steps: u32) -> u32 {
        let is_for_items =
            steps == 0 && self.in_flight.front().is_some_and(|job| job.cell.is_watched() && job.cell.chunk.is_some());
        self.link.oldest().wrapping_add(steps).wrapping_sub(u32::from(is_for_items))
    }

    /// How many responses after the next one may come before somebody has to look.
    fn due(&self, mean: Option<u64>, is_waited_for: bool) -> u32 {
        due(mean, self.is_watched(), is_waited_for, self.link.in_flight())
    }
}
