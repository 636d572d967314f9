//! Jobs that run besides those of a pool, before there are workers or in each of them: kept by the builder, checked when their results
//! come.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::panic_message;
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Target, UnknownTarget};
use crate::start::{self, CheckPreload, PreloadJob};

/// What a job of `preload`, `on_start` and `on_stop` may return: nothing, or a `Result` of nothing whose error can be shown.
#[diagnostic::on_unimplemented(
    message = "a job of `preload`, `on_start` or `on_stop` cannot return `{Self}`",
    note = "it returns `()` or `Result<(), E>`; what it prepares, it leaves in a static",
    note = "`on_stop_with` takes a job that returns anything, and gives you its results"
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

/// Such jobs of a builder, encoded.
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
        self.add_checked(job, check::<F>);
    }

    /// As `add`, of a job whose result this does not look at.
    pub(super) fn add_unchecked<F: Target>(&mut self, job: &Job<'_, F>) {
        self.add_checked(job, |_| Ok(()));
    }

    fn add_checked<F: Target>(&mut self, job: &Job<'_, F>, check: CheckPreload) {
        let arguments = job.encode_caught();
        self.0.push(Entry { name: F::NAME, index: Registry::index_of::<F>, arguments, check });
    }

    /// The jobs as a template or a worker gets them, which were given by way of `setting`.
    pub(super) fn resolve(self, setting: &str, registry: &'static Registry) -> Result<start::Preload> {
        let mut all = start::Preload::default();
        for Entry { name, index, arguments, check } in self.0 {
            let refuse = |reason: String| Error::new(Kind::Setting, format!("{setting}: job `{name}`: {reason}"));
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
