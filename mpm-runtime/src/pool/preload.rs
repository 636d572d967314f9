//! Jobs that run before there are workers: kept by the builder, checked when their results come.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::panic_message;
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Target, UnknownTarget};
use crate::start::{self, CheckPreload, PreloadJob};

/// What a preload job may return: nothing, or a `Result` of nothing whose error can be shown.
#[diagnostic::on_unimplemented(
    message = "a preload job cannot return `{Self}`",
    note = "it returns `()` or `Result<(), E>`; what it prepares, it leaves in a static"
)]
pub trait Preloaded {
    /// Whether it went well, and why not.
    ///
    /// # Errors
    /// The text of the error.
    #[doc(hidden)]
    fn succeeded(self) -> std::result::Result<(), String>;
}

impl Preloaded for () {
    fn succeeded(self) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> Preloaded for std::result::Result<(), E> {
    fn succeeded(self) -> std::result::Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// The preload jobs of a builder, encoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Preload(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    name: &'static str,
    index: fn(&'static Registry) -> std::result::Result<u32, UnknownTarget>,
    arguments: std::result::Result<Vec<u8>, String>,
    check: CheckPreload,
}

impl Preload {
    pub(super) fn add<F: Target<Output: Preloaded>>(&mut self, job: &Job<'_, F>) {
        let arguments = job.encode_caught();
        self.0.push(Entry { name: F::NAME, index: Registry::index_of::<F>, arguments, check: check::<F> });
    }

    /// The jobs as a template gets them.
    pub(super) fn resolve(self, registry: &'static Registry) -> Result<start::Preload> {
        let mut all = start::Preload::default();
        for Entry { name, index, arguments, check } in self.0 {
            let refuse = |reason: String| Error::new(Kind::Setting, format!("Builder::preload: job `{name}`: {reason}"));
            let target = index(registry).map_err(|e| refuse(e.to_string()))?;
            all.jobs.push(PreloadJob { target, name: name.to_owned(), arguments: arguments.map_err(refuse)? });
            all.checks.push(check);
        }
        Ok(all)
    }
}

fn check<F: Target<Output: Preloaded>>(result: Vec<u8>) -> std::result::Result<(), String> {
    // Only a failure comes to code of the user's: it decodes the error and prints it. That may panic.
    catch_unwind(AssertUnwindSafe(|| F::decode_output(result.into()).map_err(|e| e.to_string())?.succeeded()))
        .unwrap_or_else(|payload| Err(format!("printing its error panicked: {}", panic_message(&*payload))))
}
