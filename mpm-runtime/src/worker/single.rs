//! Runs one job by itself, without a link: what is preloaded, and what a single process is for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::panic::{forget_panics, last_panic, note_panics_once};
use crate::codec::{Call, NoValue, Panic, panic_message};
use crate::error::Phase;
use crate::registry::Registration;

/// Runs the job: its encoded result, or why there is none.
pub(crate) fn run_one(registration: &Registration, arguments: &[u8], phase: &dyn Fn(Phase)) -> Result<Vec<u8>, NoValue> {
    let (mut result, mut called) = (Vec::new(), Ok(()));
    let mut deliver = |bytes: &[u8]| result.extend_from_slice(bytes);
    let mut call = || called = (registration.call)(&mut Call::new(arguments, &mut Vec::new(), phase, &mut deliver));
    guard(&mut call).map_err(NoValue::Panicked)?;
    called.map(|()| result).map_err(NoValue::from)
}

/// Runs a closure: where and why it panicked, if it did.
pub(crate) fn guard(run: &mut dyn FnMut()) -> Result<(), Panic> {
    note_panics_once();
    forget_panics();
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let panic = last_panic(panic_message(&*payload));
        // Its drop may panic once more.
        std::mem::forget(payload);
        panic
    })
}
