//! Processes that no pool buries: the starting thread waits for their ends, and is the one that reaps them.

use std::io;

use super::orders::{Order, post};
use super::process::{ChildProcess, Ending};
use super::starter::{Starter, Then, next_ticket};
use crate::sys::Exit;

/// A process that is nobody's worker.
pub(super) struct Minded {
    pub(super) child: ChildProcess,
    pub(super) then: Then<Exit>,
}

/// Marks the poller's keys of such processes.
pub(super) const MINDED: u64 = 1 << 63;

/// Waits for the end of a process and reaps it; `then` is called with how it ended. Returns its number for
/// [`kill_minded`].
pub(crate) fn mind(child: ChildProcess, then: Then<Exit>) -> io::Result<u64> {
    let id = next_ticket();
    post(Order::Mind { id, child, then })?;
    Ok(id)
}

/// Kills a minded process and its group, if it has not ended.
pub(crate) fn kill_minded(id: u64) {
    drop(post(Order::Kill(id)));
}

impl Starter {
    pub(super) fn begin_to_mind(&mut self, id: u64, child: ChildProcess, then: Then<Exit>) {
        if self.poller.watch(&child, id | MINDED).is_err() {
            // Nobody would learn of its end otherwise.
            child.kill_group();
            child.pidfd().ends_until(None);
        }
        self.minded.insert(id, Minded { child, then });
        self.look_after(id);
    }

    /// A template has told how one ended.
    pub(super) fn learn(&mut self, id: u64, exit: Option<Exit>) {
        if let Some(minded) = self.minded.get_mut(&id) {
            minded.child.reaped(exit);
            self.look_after(id);
        }
    }

    /// Reaps a minded process that has ended.
    pub(super) fn look_after(&mut self, id: u64) {
        let Some(minded) = self.minded.get_mut(&id) else { return };
        match minded.child.reap(move |exit| drop(post(Order::Reaped(id, exit)))) {
            Ending::Runs => {}
            Ending::Asked => self.poller.forget(&minded.child),
            Ending::Done(exit) => {
                self.poller.forget(&minded.child);
                if let Some(Minded { then, .. }) = self.minded.remove(&id) {
                    then(exit);
                }
            }
        }
    }

    pub(super) fn kill(&self, id: u64) {
        if let Some(minded) = self.minded.get(&id) {
            minded.child.kill_group();
        }
    }
}
