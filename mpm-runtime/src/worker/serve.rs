//! The worker's loop: claim, decode, run, encode, answer.

use std::any::Any;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::current::{self, EndedEarly};
use super::items::run_items;
use super::objects::keep_at_most;
use super::panic::{forget_panics, last_panic};
use crate::codec::{Call, CallError, panic_message};
use crate::error::{Phase, WorkerExit};
use crate::link::{Answer, Corrupt, Desk, Kind, Request, WorkerEnd};
use crate::registry::{Registration, Registry};
use crate::start::{Setup, current_process};
use crate::sys::{fault_point, say};

/// Runs jobs until the parent says stop.
pub(crate) fn serve(setup: Box<Setup>) -> WorkerExit {
    // It ends with the process. Closing what a job has closed already would abort: std checks that in debug builds.
    let mut setup = ManuallyDrop::new(setup);
    let Setup { link, registry, index, max_jobs, objects } = &mut **setup;
    let (registry, index, max_jobs, objects) = (*registry, *index, *max_jobs, *objects);
    let desk = link.desk();
    current::open(index, desk.clone());
    let mut scratch = Vec::new();
    let mut jobs = 0;
    keep_at_most(objects);
    loop {
        let done = match link.claim() {
            Ok(Some(request)) if request.items > 0 => run_items(link, registry, &request, &desk, &mut scratch),
            Ok(Some(request)) => run(link, registry, &request, &desk, &mut scratch).map(|()| 1),
            Ok(None) => break,
            Err(corrupt) => Err(corrupt),
        };
        match done {
            Ok(count) => jobs += count,
            Err(corrupt) => {
                let worker = current_process();
                say(&format!("mpm: worker {} ends: its link cannot be used any more: {corrupt}", worker.name()));
                return WorkerExit::LinkDamaged;
            }
        }
        link.check_size();
        if max_jobs > 0 && jobs >= max_jobs {
            break;
        }
    }
    WorkerExit::Finished
}

/// Runs one claimed request and answers it exactly once.
fn run(link: &mut WorkerEnd, registry: &Registry, request: &Request, desk: &Desk, scratch: &mut Vec<u8>) -> Result<(), Corrupt> {
    current::begin(request, 0, desk);
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
            Ok(Err(error)) => describe(&error).and_then(|(kind, text)| job.send(kind, &text)),
            Err(payload) if payload.is::<EndedEarly>() => job.send(Kind::EndedEarly, b""),
            Err(payload) => job.panicked(payload),
        };
        sent.map_err(|e| Corrupt(format!("an answer cannot be sent: {e}")))?;
    }
    current::end();
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
    fn call(&mut self, registration: &Registration, arguments: &[u8], scratch: &mut Vec<u8>) -> Result<Option<String>, CallError> {
        let notes = self.answer.notes();
        let mut failed = None;
        let mut deliver = |bytes: &[u8]| failed = self.send(Kind::Value, bytes).err().map(|e| format!("send the result: {e}"));
        let enter = |phase: Phase| {
            notes.phase(phase as u32);
            fault_point(match phase {
                Phase::Building => "building",
                Phase::Running => "running",
                Phase::Encoding => "encoding",
                _ => "sending",
            });
        };
        (registration.call)(&mut Call::new(arguments, scratch, &enter, &mut deliver))?;
        Ok(failed)
    }

    fn send(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let ran = self.answer.elapsed();
        self.answer.send(kind, ran, payload)?;
        self.answered = true;
        Ok(())
    }

    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> io::Result<()> {
        let panic = last_panic(panic_message(&*payload));
        discard(payload);
        let text = postcard::to_stdvec(&panic).map_err(io::Error::other)?;
        self.send(Kind::Panicked, &text)
    }
}

/// Why a call delivered nothing, as it is answered.
pub(super) fn describe(error: &CallError) -> io::Result<(Kind, Vec<u8>)> {
    Ok(match error {
        CallError::Codec(error) if error.is_argument() => (Kind::BadArguments, error.to_string().into_bytes()),
        CallError::Codec(error) => (Kind::BadResult, error.to_string().into_bytes()),
        CallError::NotBuilt(unbuilt) => (Kind::NotBuilt, postcard::to_stdvec(unbuilt).map_err(io::Error::other)?),
    })
}

/// Drops the payload of a panic, which may panic once more; that must not end the worker. The payload of that panic is
/// kept for ever instead, since its drop may do the same.
pub(super) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
