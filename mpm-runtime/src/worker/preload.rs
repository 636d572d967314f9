//! Runs one job by itself, before there is a link: what is preloaded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::panic::{forget_panics, last_panic, note_panics};
use crate::codec::{Call, panic_message};
use crate::registry::Registration;

/// Runs the job: its encoded result, or what befell it, as the end of a sentence that begins with its name.
pub(crate) fn preload(registration: &Registration, arguments: &[u8]) -> Result<Vec<u8>, String> {
    note_panics();
    forget_panics();
    let mut result = Vec::new();
    let mut deliver = |bytes: &[u8]| result.extend_from_slice(bytes);
    let ended =
        catch_unwind(AssertUnwindSafe(|| (registration.call)(&mut Call::new(arguments, &mut Vec::new(), &|_| {}, &mut deliver))));
    match ended {
        Ok(Ok(())) => Ok(result),
        Ok(Err(error)) => Err(format!("failed: {error}")),
        Err(payload) => {
            let panic = last_panic(panic_message(&*payload));
            std::mem::forget(payload);
            Err(match panic.location {
                Some(location) => format!("panicked at {location}: {}", panic.message),
                None => format!("panicked: {}", panic.message),
            })
        }
    }
}
