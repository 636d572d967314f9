//! The worker's loop: claim, decode, run, encode, answer.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::items::run_items;
use super::panic::{forget_panics, last_panic};
use crate::codec::{Call, CodecError, panic_message};
use crate::error::{Phase, WorkerExit};
use crate::link::{Answer, Corrupt, Kind, Request, WorkerEnd};
use crate::registry::{Registration, Registry};
use crate::start::Setup;
use crate::sys::{fault_point, say};

/// Runs jobs until the parent says stop.
pub(crate) fn serve(setup: Setup) -> WorkerExit {
    let Setup { link, registry, worker, max_jobs } = setup;
    // It ends with the process. Closing what a job has closed already would abort: std checks that in debug builds.
    let mut link = ManuallyDrop::new(link);
    let mut scratch = Vec::new();
    let mut jobs = 0;
    loop {
        let done = match link.claim() {
            Ok(Some(request)) if request.items > 0 => run_items(&mut link, registry, &request, &mut scratch),
            Ok(Some(request)) => run(&mut link, registry, &request, &mut scratch).map(|()| 1),
            Ok(None) => return WorkerExit::Finished,
            Err(corrupt) => Err(corrupt),
        };
        match done {
            Ok(count) => jobs += count,
            Err(corrupt) => {
                say(&format!("mpm: worker {worker} ends: its link cannot be used any more: {corrupt}"));
                return WorkerExit::LinkDamaged;
            }
        }
        link.check_size();
        if max_jobs > 0 && jobs >= max_jobs {
            return WorkerExit::Finished;
        }
    }
}

/// Runs one claimed request and answers it exactly once.
fn run(link: &mut WorkerEnd, registry: &Registry, request: &Request, scratch: &mut Vec<u8>) -> Result<(), Corrupt> {
    let registration = registry.get(request.target).ok_or_else(|| Corrupt(format!("there is no target {}", request.target)))?;
    let (arguments, answer) = link.open_request(request).map_err(|e| Corrupt(format!("the arguments cannot be read: {e}")))?;
    let notes = answer.notes();
    fault_point("opened");
    notes.phase(Phase::Decoding as u32);
    forget_panics();
    fault_point("decoding");
    let mut job = Job { answer, answered: false };
    let ended = catch_unwind(AssertUnwindSafe(|| job.call(registration, arguments, scratch)));
    if job.answered {
        // The value is on its way: a panic in the drop of an argument or of the result changes nothing.
        ended.map_or_else(discard, drop);
    } else {
        // The phase stays what it was: it tells whether the job ran, should this process die now.
        let sent = match ended {
            // The result could not be put into shared memory: it counts as one that cannot travel.
            Ok(Ok(failed)) => job.send(Kind::BadResult, failed.unwrap_or_default().as_bytes()),
            Ok(Err(error)) if error.is_argument() => job.send(Kind::BadArguments, error.to_string().as_bytes()),
            Ok(Err(error)) => job.send(Kind::BadResult, error.to_string().as_bytes()),
            Err(payload) => job.panicked(payload),
        };
        sent.map_err(|e| Corrupt(format!("an answer cannot be sent: {e}")))?;
    }
    notes.phase(Phase::Claimed as u32);
    fault_point("answered");
    link.close_request(request);
    Ok(())
}

struct Job<'a> {
    answer: Answer<'a>,
    answered: bool,
}

impl Job<'_> {
    /// Calls the target. `Ok(None)` when the result is on its way, `Ok(Some(…))` when sending it failed.
    fn call(&mut self, registration: &Registration, arguments: &[u8], scratch: &mut Vec<u8>) -> Result<Option<String>, CodecError> {
        let notes = self.answer.notes();
        let mut failed = None;
        let mut deliver = |bytes: &[u8]| failed = self.send(Kind::Value, bytes).err().map(|e| format!("send the result: {e}"));
        let enter = |phase: Phase| {
            notes.phase(phase as u32);
            fault_point(match phase {
                Phase::Running => "running",
                Phase::Encoding => "encoding",
                _ => "sending",
            });
        };
        (registration.call)(&mut Call::new(arguments, scratch, &enter, &mut deliver))?;
        Ok(failed)
    }

    fn send(&mut self, kind: Kind, payload: &[u8]) -> std::io::Result<()> {
        let ran = self.answer.elapsed();
        self.answer.send(kind, ran, payload)?;
        self.answered = true;
        Ok(())
    }

    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> std::io::Result<()> {
        let panic = last_panic(panic_message(&*payload));
        discard(payload);
        let text = postcard::to_stdvec(&panic).map_err(std::io::Error::other)?;
        self.send(Kind::Panicked, &text)
    }
}

/// Drops the payload of a panic, which may panic once more; that must not end the worker. The payload of that panic is
/// kept for ever instead, since its drop may do the same.
pub(super) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
