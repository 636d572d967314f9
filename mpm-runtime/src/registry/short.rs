//! The short form of an object: one method, and a constructor without arguments.

use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::object::{Blueprint, Object, Remote};

/// Work that keeps something between jobs: what `#[worker]` on a struct asks of it.
///
/// Each worker makes one value by `Default` when the first job comes, and keeps it. `#[worker]` makes `S::job(args)`, and `S` a
/// [`Target`](crate::Target), so that [`Pool::map`](crate::Pool::map) takes it too. As other objects, it is dropped and made anew when
/// `run` has panicked, unless the attribute says `on_panic = "keep"`.
///
/// ```
/// use mpm::{Pool, Worker, worker};
///
/// /// Numbers what it is given.
/// #[worker]
/// #[derive(Default)]
/// struct Counter {
///     seen: u64,
/// }
///
/// impl Worker for Counter {
///     type Args = String;
///     type Output = String;
///
///     fn run(&mut self, text: String) -> String {
///         self.seen += 1;
///         format!("{}: {text}", self.seen)
///     }
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::builder().workers(1).build()?;
///     assert_eq!(pool.run(Counter::job("a".to_owned()))?, "1: a");
///     let lines: Result<Vec<_>, _> = pool.map::<Counter>(["b", "c"].map(str::to_owned)).collect();
///     assert_eq!(lines?, ["2: b", "3: c"]);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a worker that does not say what it does",
    label = "implement `mpm::Worker` for it",
    note = "`#[worker]` on a struct goes together with `impl mpm::Worker`, and with `Default`, by which workers make the struct"
)]
pub trait Worker: 'static {
    /// What a job brings: one value, a tuple of several, or `()`.
    type Args;

    /// What it returns.
    type Output;

    /// Does the work of one job.
    fn run(&mut self, args: Self::Args) -> Self::Output;
}

/// The description of the one object that a `#[worker] struct` has in each worker: what `S::remote()` returns, for
/// [`Builder::preload`](crate::Builder::preload).
///
/// ```
/// use mpm::{Pool, Worker, worker};
///
/// #[worker]
/// struct Squares(Vec<u64>);
///
/// impl Default for Squares {
///     fn default() -> Self {
///         Squares((0..1000).map(|n| n * n).collect())
///     }
/// }
///
/// impl Worker for Squares {
///     type Args = usize;
///     type Output = u64;
///
///     fn run(&mut self, n: usize) -> u64 {
///         self.0[n]
///     }
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::builder().workers(2).preload(&Squares::remote()).build()?;
///     assert_eq!(pool.run(Squares::job(30))?, 900);
///     Ok(())
/// }
/// ```
pub struct OwnRemote<S>(PhantomData<fn() -> S>);

impl<S> OwnRemote<S> {
    /// The one value.
    #[doc(hidden)]
    pub const NEW: Self = OwnRemote(PhantomData);
}

impl<S> Clone for OwnRemote<S> {
    fn clone(&self) -> Self {
        OwnRemote(PhantomData)
    }
}

impl<S: Object> fmt::Debug for OwnRemote<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnRemote({})", S::NAME)
    }
}

impl<S: Object> Remote for OwnRemote<S> {
    type Constructor = S;
    const CONSTRUCTOR: &'static str = S::CONSTRUCTOR;

    fn blueprint(&self) -> &Blueprint {
        static OWN: OnceLock<Blueprint> = OnceLock::new();
        OWN.get_or_init(Blueprint::own)
    }
}
