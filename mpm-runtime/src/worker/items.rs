//! The worker's loop over the jobs of one request: as `serve.rs` for one, with as few steps as can be between two of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::current::{self, EndedEarly};
use super::panic::{forget_panics, last_panic};
use super::serve::{describe, discard};
use crate::codec::{Call, panic_message};
use crate::error::Phase;
use crate::link::{Corrupt, Desk, Items, Kind, Request, WorkerEnd};
use crate::registry::{Registration, Registry};
use crate::sys::fault_point;

/// Runs the items of one claimed request that are not taken back, and answers each exactly once. Returns how many those were.
pub(super) fn run_items(
    link: &mut WorkerEnd,
    registry: &Registry,
    request: &Request,
    desk: &Desk,
    scratch: &mut Vec<u8>,
) -> Result<u64, Corrupt> {
    let registration = registry.get(request.target).ok_or_else(|| Corrupt(format!("there is no target {}", request.target)))?;
    let mut items = link.open_items(request).map_err(|e| Corrupt(format!("the arguments cannot be read: {e}")))?;
    let notes = items.notes();
    let mut count = 0;
    while let Some(arguments) = items.claim()? {
        current::begin(request, u32::try_from(count).unwrap_or(u32::MAX), desk);
        run(&mut items, registration, arguments, scratch).map_err(|e| Corrupt(format!("an answer cannot be sent: {e}")))?;
        notes.phase(Phase::Claimed as u32);
        fault_point("item-answered");
        count += 1;
    }
    current::end();
    link.close_request(request);
    Ok(count)
}

/// Runs the claimed item.
fn run(items: &mut Items<'_>, registration: &Registration, arguments: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
    let notes = items.notes();
    notes.phase(Phase::Decoding as u32);
    forget_panics();
    fault_point("item-decoding");
    let enter = |phase: Phase| {
        notes.phase(phase as u32);
        fault_point(match phase {
            Phase::Building => "item-building",
            Phase::Running => "item-running",
            Phase::Encoding => "item-encoding",
            _ => "item-sending",
        });
    };
    let mut sent = None;
    let mut deliver = |bytes: &[u8]| sent = Some(items.send(Kind::Value, bytes));
    let ended = catch_unwind(AssertUnwindSafe(|| (registration.call)(&mut Call::new(arguments, scratch, &enter, &mut deliver))));
    // The phase stays what it was: it tells whether the job ran, should this process die now.
    match (sent, ended) {
        (Some(Ok(())), Ok(_)) => Ok(()),
        // The value is on its way: a panic in the drop of an argument or of the result changes nothing.
        (Some(Ok(())), Err(payload)) => {
            discard(payload);
            Ok(())
        }
        // The result could not be put into shared memory: it counts as one that cannot travel.
        (Some(Err(error)), _) => items.send(Kind::BadResult, format!("send the result: {error}").as_bytes()),
        (None, Ok(Ok(()))) => items.send(Kind::BadResult, b""),
        (None, Ok(Err(error))) => describe(&error).and_then(|(kind, text)| items.send(kind, &text)),
        (None, Err(payload)) if payload.is::<EndedEarly>() => items.send(Kind::EndedEarly, b""),
        (None, Err(payload)) => {
            let panic = last_panic(panic_message(&*payload));
            discard(payload);
            items.send(Kind::Panicked, &postcard::to_stdvec(&panic).map_err(io::Error::other)?)
        }
    }
}
