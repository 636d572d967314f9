//! Requests that the parent has written and takes back.

use super::{ParentEnd, TakenBack};
use crate::link::bytes::Bytes;
use crate::link::claim;
use crate::link::memory::Memory;
use crate::link::requests::Request;
use crate::link::shelf::Payload;
use crate::link::violation::Violation;

impl ParentEnd {
    /// Takes back what was written and not published.
    pub(crate) fn retract(&mut self) -> Vec<TakenBack> {
        self.reclaim_to(self.published)
    }

    /// Takes back the requests from the `keep`-th in flight on that the worker has not claimed, with their payloads,
    /// oldest first. After this call they will not run here.
    pub(crate) fn take_back(&mut self, keep: u32) -> Result<Vec<TakenBack>, Violation> {
        if keep >= self.in_flight() {
            return Ok(Vec::new());
        }
        self.claim()?;
        let claim = claim::take_back(&self.memory.worker_page().claim.0, self.finished.wrapping_add(keep));
        if claim.limit.wrapping_sub(self.finished) > self.in_flight() {
            return Err(self.damaged(claim));
        }
        self.published = claim.limit;
        Ok(self.reclaim_to(claim.limit))
    }

    /// Undoes what was written from number `to` on.
    fn reclaim_to(&mut self, to: u32) -> Vec<TakenBack> {
        let mut taken = Vec::new();
        while self.written != to {
            self.written = self.written.wrapping_sub(1);
            taken.push(self.reclaim(self.written));
        }
        taken.reverse();
        taken
    }

    /// Takes the newest request, number `seq`, out again. The slot and the payload lie in memory that only the parent writes.
    fn reclaim(&mut self, seq: u32) -> TakenBack {
        let request = Request::read(seq, &*self.memory, &self.layout);
        if self.in_data.pop_back_if(|user| *user == seq).is_some() {
            self.data.free_newest();
        }
        let payload = match self.in_segments.pop_back_if(|(user, _)| *user == seq) {
            Some((_, large)) => Payload::Large(large),
            None => {
                let mut bytes = Bytes::zeros(usize::try_from(request.len).unwrap_or(0));
                self.memory.read_request(usize::try_from(request.at).unwrap_or(0), &mut bytes);
                Payload::Bytes(bytes)
            }
        };
        (request.job, self.without_items_elsewhere(seq, payload))
    }
}
