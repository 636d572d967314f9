//! The attribute macros of mpm. Tokens enter and leave; nothing here knows how a job runs. Use them through the
//! library `mpm`, which re-exports them: the generated code names items of that library.

mod block;
mod entry;
mod errors;
mod function;
mod item;
mod legs;
mod object;
mod options;
mod remote;
mod short;
mod signature;
mod target;
mod tokens;
mod worker;

use proc_macro::TokenStream;

/// Makes a function a target: something that worker processes can run. On an `impl` block, it makes the type an object that lives in
/// workers; on a struct, a worker with one method.
///
/// The function stays as it is: call it, test it. Beside it, in the namespace of types, stands a type of the same
/// name that describes calls of it:
///
/// ```
/// use mpm::worker;
///
/// /// Counts how often `byte` is in `text`.
/// #[worker]
/// fn count(text: &[u8], byte: u8) -> usize {
///     text.iter().filter(|b| **b == byte).count()
/// }
///
/// assert_eq!(count(b"banana", b'a'), 3); // a plain call, in this process
/// let job = count::job(b"banana", b'a'); // a job, for a pool
/// assert!(count::NAME.ends_with("::count"));
/// # drop(job);
/// ```
///
/// # Arguments and results
///
/// - An owned argument is anything `serde::Serialize + serde::Deserialize`; so is a result.
/// - An argument as a whole may be borrowed: `&str`, `&[u8]` and `&Path` are read in the worker straight from the
///   memory that the processes share; for `&T` the worker decodes a `T` and lends it; for `&[T]` a `Vec<T>`.
/// - Runs of bytes (`Vec<u8>`, `[u8; N]`, `Box<[u8]>`, `String`, `Box<str>`, `PathBuf`, `OsString`) are copied as
///   one piece, also as the value of an `Option` or `Result`. `&[u8]`, `&str`, `&Path` and `&OsStr` likewise.
/// - A `Result` is an ordinary value; a target that returns nothing returns `()`.
/// - There is no limit to the number of arguments.
///
/// # Options
///
/// They are the defaults for all jobs of the target. `timeout` and `retries` are checked and kept in this version, and
/// **nothing acts on them yet**.
///
/// | option | means |
/// |---|---|
/// | `name = "…"` | the name of the target; without it, the path of the module and the function's name |
/// | `timeout = "30s"` | how long one attempt may run, as in `500ms`, `30s`, `2min`, `1h 30min` |
/// | `retries = 2` | how often a job that may have run is run again: only for work that is safe to repeat |
/// | `crate = path` | where mpm is, if not at `::mpm` |
///
/// Two targets of one name are an error of building a pool, which names both places; targets inside of function bodies
/// have the path of the module around them, so give them a `name` if two bodies of a module hold the same one.
///
/// # Objects
///
/// On an `impl` block with a constructor `fn new(…)` that returns `Self` or a `Result` of it, each method with `&self` or `&mut self`
/// becomes a target:
///
/// ```
/// use mpm::{Pool, worker};
///
/// struct Counter {
///     count: u64,
/// }
///
/// #[worker]
/// impl Counter {
///     /// Runs in each worker, once.
///     fn new(start: u64) -> Self {
///         Counter { count: start }
///     }
///
///     fn add(&mut self, by: u64) -> u64 {
///         self.count += by;
///         self.count
///     }
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::builder().workers(1).build()?;
///     let counter = Counter::remote(10); // describes the object, builds nothing
///     assert_eq!(pool.run(counter.add(1))?, 11); // any worker; built there at first use
///     assert_eq!(pool.run(counter.add(1))?, 12);
///     Ok(())
/// }
/// ```
///
/// The block stays as it is. Beside it comes a type `CounterRemote`, as visible as `new`, which `Counter::remote(…)` makes of the arguments
/// of `new`, with a method for each target that describes a job. Clones of it mean the same object, each call of `remote` means another
/// one. Each worker builds an object when the first job of it comes, keeps it (`Builder::objects` says how many), and drops it when it
/// ends in order. The arguments of `new` travel with each job, so they should be small. An object needs no `Send`, and the error of `new` no
/// `Serialize`: its text becomes `JobError::NotBuilt`.
///
/// On the block, the options are `name = "…"`, the first part of the targets' names; `on_panic = "keep"`, which keeps an object one of whose
/// methods has panicked, where it would else be built anew; and `crate`. A method may have its own `#[worker(name = "…", timeout = "…",
/// retries = …)]`, or `#[worker(skip)]`, which leaves it a plain method. Functions without `self` are left alone.
///
/// On a struct that implements `Default` and `mpm::Worker`, `#[worker]` makes `S::job(args)`; see there. The options are those of a function,
/// and `on_panic`.
///
/// # What cannot be a target
///
/// Generic functions and methods, methods that take `self`, `unsafe` and `extern` functions, and functions whose argument borrows in part
/// (`Option<&str>`) or whose result borrows. Each is a compile error that says what to write instead.
#[proc_macro_attribute]
pub fn worker(options: TokenStream, item: TokenStream) -> TokenStream {
    worker::expand(options.into(), item.into()).into()
}

/// Makes `main` a main function that can have workers: it calls `mpm::init()` first.
///
/// The workers of a program are the same program, started again. `init` is where they turn off and become workers;
/// only in the parent does it return. The function keeps its name, attributes and return type.
///
/// ```
/// #[mpm::main]
/// fn main() -> Result<(), std::io::Error> {
///     println!("in the parent");
///     Ok(())
/// }
/// ```
///
/// The one option is `crate = path`, for a program that has mpm not at `::mpm`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(options.into(), item.into()).into()
}

/// Makes a function a test that can have workers.
///
/// It is a `#[test]` like any other, in any module and under any runner, and takes the same attributes
/// (`#[ignore]`, `#[should_panic]`). Its workers are the same test program, asked for exactly this test, whose first
/// act is to become the worker.
///
/// ```
/// #[mpm::test]
/// fn adds() {
///     assert_eq!(1 + 1, 2);
/// }
/// ```
///
/// The one option is `crate = path`, for a program that has mpm not at `::mpm`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(options.into(), item.into()).into()
}
