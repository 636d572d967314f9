//! Jobs that run besides those of a pool, before there are workers or in each of them, and objects that are built then: kept by the
//! builder, checked when their results come.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::panic_message;
use crate::error::{Error, Kind, Result};
use crate::registry::{Job, Registry, Remote, Target, UnknownTarget};
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

/// What [`Builder::preload`](crate::Builder::preload) takes: a job, or a reference to the description of an object, which
/// `T::remote(…)` returns. The object has to be `Send`, since it is built on another thread than the one that uses it.
///
/// ```
/// use mpm::{Pool, worker};
///
/// struct Table(Vec<u64>);
///
/// #[worker]
/// impl Table {
///     fn new(len: u64) -> Self {
///         Table((0..len).map(|n| n * n).collect())
///     }
///
///     fn at(&self, n: usize) -> Option<u64> {
///         self.0.get(n).copied()
///     }
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let table = Table::remote(1000);
///     let pool = Pool::builder().workers(2).preload(&table).build()?;
///     assert_eq!(pool.run(table.at(30))?, Some(900));
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be preloaded",
    label = "a job, or a reference to what `T::remote(…)` returns, can be",
    note = "for an object write `.preload(&object)`"
)]
pub trait Preload {
    /// What is kept of it until the pool is built.
    #[doc(hidden)]
    fn entry(self) -> PreloadEntry;
}

impl<F: Target<Output: Preloaded>> Preload for Job<'_, F> {
    fn entry(self) -> PreloadEntry {
        let arguments = self.encode_caught();
        PreloadEntry { name: F::NAME, index: Registry::index_of::<F>, arguments, check: check::<F> }
    }
}

impl<R: Remote<Constructor: PreloadedObject>> Preload for &R {
    fn entry(self) -> PreloadEntry {
        PreloadEntry {
            name: R::CONSTRUCTOR,
            index: |registry| registry.find(R::CONSTRUCTOR),
            arguments: self.blueprint().encode().map_err(|e| e.to_string()),
            // What goes wrong with an object is the worker's to say.
            check: |_| Ok(()),
        }
    }
}

/// An object that one thread can build for another one, or the constructor that stands for it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this object cannot be preloaded, since it is not `Send`",
    label = "what `{Self}` makes is not `Send`",
    note = "it would be built on one thread, before there are workers, and used on another one; without `preload` each worker builds \
            it where it uses it"
)]
pub trait PreloadedObject: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> PreloadedObject for T {}

/// One thing that is preloaded, encoded.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct PreloadEntry {
    name: &'static str,
    index: fn(&'static Registry) -> std::result::Result<u32, UnknownTarget>,
    arguments: std::result::Result<Vec<u8>, String>,
    check: CheckPreload,
}

/// Such jobs and objects of a builder.
#[derive(Clone, Debug, Default)]
pub(super) struct Preloads(Vec<PreloadEntry>);

impl Preloads {
    pub(super) fn add(&mut self, what: impl Preload) {
        self.0.push(what.entry());
    }

    /// As `add`, of a job whose result this does not look at.
    pub(super) fn add_unchecked<F: Target>(&mut self, job: &Job<'_, F>) {
        let arguments = job.encode_caught();
        self.0.push(PreloadEntry { name: F::NAME, index: Registry::index_of::<F>, arguments, check: |_| Ok(()) });
    }

    /// The jobs as a template or a worker gets them, which were given by way of `setting`.
    pub(super) fn resolve(self, setting: &str, registry: &'static Registry) -> Result<start::Preload> {
        let mut all = start::Preload::default();
        for PreloadEntry { name, index, arguments, check } in self.0 {
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
