//! A job on its way into the pool: what holds for it, a cell for its outcome, its encoded arguments.

use std::cell::Cell as Slot;
use std::io;
use std::sync::Arc;

use super::face::Pool;
use super::handle::JobHandle;
use super::rules::Rules;
use super::shared::Shared;
use super::spare::Held;
use crate::codec::Encoder;
use crate::error::{DataError, JobError, Refusal};
use crate::link::{Bytes, INLINE, Payload};
use crate::registry::{Job, Target};

impl Pool {
    /// A cell for a job, with what holds for it.
    #[inline]
    pub(super) fn cell<F: Target>(&self, target: u32, job: &Job<'_, F>) -> Result<Held, Refusal> {
        Ok(Self::cell_with::<F>(self.rules(target, job)?))
    }

    /// A cell for a job for which this holds.
    #[inline]
    pub(super) fn cell_with<F: Target>(rules: Option<Box<Rules>>) -> Held {
        let cell = Held::new(F::NAME, rules);
        if cell.on_done().is_some() {
            // Somebody wants to know of its end when it comes.
            cell.set_watched();
        }
        cell
    }

    /// What holds for a job.
    #[inline]
    pub(super) fn rules<F: Target>(&self, target: u32, job: &Job<'_, F>) -> Result<Option<Box<Rules>>, Refusal> {
        match Rules::of(job.options(), self.shared.registry.get(target), &self.shared.settings) {
            None => Ok(None),
            Some(rules) => self.prepare(&rules).map(|()| Some(rules)),
        }
    }

    /// Makes ready what these rules take, if they can be kept.
    fn prepare(&self, rules: &Rules) -> Result<(), Refusal> {
        if let Some(reason) = rules.refusal() {
            return Err(Refusal::Option(reason));
        }
        let failed = |what: &str, e: io::Error| Refusal::Failed(format!("start the pool's thread for {what}: {e}").into());
        if rules.on_done.is_some() {
            self.shared.callbacks.start().map_err(|e| failed("callbacks", e))?;
        }
        if rules.retry.as_ref().is_some_and(|retrying| retrying.is_judged()) {
            let shared = Arc::clone(&self.shared);
            let judge = || move |judged| shared.judge(judged);
            self.shared.judges.start("mpm-judges", judge).map_err(|e| failed("judging", e))?;
        }
        Ok(())
    }

    /// As [`encode`](Self::encode); a job that may be tried again keeps its arguments.
    pub(super) fn encode_and_keep<F: Target>(&self, job: &Job<'_, F>, target: u32, cell: &Held) -> Result<Payload, String> {
        let payload = self.encode(job)?;
        if let Some(retrying) = cell.retrying() {
            retrying.keep(target, payload.to_vec());
        }
        Ok(payload)
    }

    pub(super) fn hand_in<F: Target>(&self, job: &Job<'_, F>, block: bool) -> Result<JobHandle<F::Output>, Refusal> {
        let target = self.target::<F>()?;
        let cell = self.cell(target, job)?;
        match self.encode_and_keep(job, target, &cell) {
            Ok(payload) => self.shared.submit(&cell, target, payload, block)?,
            Err(reason) => self.refuse(&cell, reason)?,
        }
        Ok(JobHandle::new(cell, Arc::clone(&self.shared), F::decode_output))
    }

    /// The encoded arguments of a job. Those that are short cost no memory; large ones are in shared memory from here on, if there
    /// is room: nothing of them is copied under the pool's lock.
    fn encode<F: Target>(&self, job: &Job<'_, F>) -> Result<Payload, String> {
        // Taken out meanwhile: a `Serialize` of the user's may submit a job of its own.
        // And a thread that ends has none any more.
        let mut encoder = Encoder::new(SCRATCH.try_with(Slot::take).unwrap_or_default());
        let encoded = job.encode_caught_to(&mut encoder).map(|()| {
            let shelf = &self.shared.shelf;
            let worker = || self.shared.lock().likely();
            let large = (encoder.len() > INLINE).then(|| shelf.pack(worker().as_ref(), encoder.len(), encoder.pieces()));
            large.flatten().unwrap_or_else(|| match encoder.has_large_runs() {
                false => Bytes::take(encoder.bytes()).into(),
                true => Bytes::from(encoder.to_bytes()).into(),
            })
        });
        let buffer = encoder.into_buffer();
        if buffer.capacity() <= INLINE {
            let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
        }
        encoded
    }

    /// Ends a job whose arguments cannot be encoded. A pool that has ended takes none that is to call something: nobody would.
    pub(super) fn refuse(&self, cell: &Held, reason: String) -> Result<(), Refusal> {
        self.shared.with_core(|core| {
            if let Some(refusal) = Shared::refusal(core).filter(|_| cell.on_done().is_some()) {
                return Err(refusal);
            }
            core.last_job += 1;
            cell.set_id(core.last_job);
            let error = DataError { job: cell.id(), target: cell.target, reason, in_worker: false };
            // It was never in the queue, and must not be taken back from there.
            core.give_up(Arc::clone(cell), JobError::Encode(Box::new(error)));
            Ok(())
        })
    }
}

thread_local! {
    /// Where this thread encodes arguments.
    static SCRATCH: Slot<Vec<u8>> = const { Slot::new(Vec::new()) };
}
