//! Objects that live in workers, as this process knows them: a key and the encoded arguments of the constructor. `T::remote(…)`
//! makes that of its arguments, each job takes it along, and a worker builds the object of it at first use.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::{Arguments, CodecError, Described, Encoder, Key, panic_message};

/// A type that `#[worker]` on its `impl` block, or on the struct itself, has made an object: workers can build it.
#[doc(hidden)]
pub trait Object: Sized + 'static {
    /// The type, as reports name it.
    const NAME: &'static str;
    /// The name of its constructor among the targets.
    const CONSTRUCTOR: &'static str;
    /// Whether one of whose methods has panicked is kept.
    const KEPT_AFTER_PANIC: bool;

    /// Decodes the arguments of the constructor and calls it.
    fn build(arguments: Arguments<'_>) -> Result<Self, BuildError>;
}

/// Why a constructor made nothing.
#[doc(hidden)]
#[derive(Debug)]
pub enum BuildError {
    /// Its arguments could not be decoded.
    Arguments(CodecError),
    /// It returned this error, told with its sources.
    Failed(String),
}

impl From<CodecError> for BuildError {
    fn from(error: CodecError) -> Self {
        Self::Arguments(error)
    }
}

/// The description of an object: what `T::remote(…)` returns.
///
/// `#[worker]` on an `impl` block makes a type `TRemote` and implements this for it; it is not meant to be implemented by hand. The
/// methods of the object are on `TRemote`, and describe jobs. Clones of a description mean the same object.
///
/// ```
/// use mpm::{Remote, worker};
///
/// struct Greeter(String);
///
/// #[worker]
/// impl Greeter {
///     fn new(greeting: &str) -> Self {
///         Greeter(greeting.to_owned())
///     }
///
///     fn greet(&self, name: &str) -> String {
///         format!("{}, {name}", self.0)
///     }
/// }
///
/// fn describe<R: Remote + std::fmt::Debug>(object: &R) -> String {
///     format!("{object:?}")
/// }
/// assert!(describe(&Greeter::remote("hello")).starts_with("GreeterRemote("));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe an object",
    label = "this is what `T::remote(…)` returns",
    note = "`#[worker] impl T {{ fn new(…) -> Self … }}` makes `T::remote(…)`"
)]
pub trait Remote {
    /// What stands for the object's type, which may be less visible: it is `Send` if that is.
    #[doc(hidden)]
    type Constructor;

    /// The name of the constructor among the targets.
    #[doc(hidden)]
    const CONSTRUCTOR: &'static str;

    /// The description.
    #[doc(hidden)]
    fn blueprint(&self) -> &Blueprint;
}

/// A description, which its clones share.
#[doc(hidden)]
#[derive(Clone)]
pub struct Blueprint(Arc<Inner>);

struct Inner {
    object: &'static str,
    key: Key,
    arguments: Result<Vec<u8>, CodecError>,
}

impl Blueprint {
    /// Describes another object of the type called `object`, the arguments of whose constructor `encode` encodes.
    ///
    /// Arguments that cannot be encoded are the error of each job of the object.
    pub fn new<'v>(object: &'static str, encode: impl FnOnce(&mut Encoder<'v>) -> Result<(), CodecError>) -> Self {
        static LAST: Mutex<u64> = Mutex::new(0);
        let mut encoder = Encoder::default();
        let encoded = catch_unwind(AssertUnwindSafe(|| encode(&mut encoder)));
        let encoded = encoded.unwrap_or_else(|payload| {
            let reason = panic_message(&*payload);
            // Its drop may panic once more.
            std::mem::forget(payload);
            Err(CodecError::new(format!("encoding the arguments of the constructor panicked: {reason}")))
        });
        let arguments = encoded.map(|()| encoder.into_bytes());
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        Blueprint(Arc::new(Inner { object, key: Key { process: std::process::id(), number: *last }, arguments }))
    }

    /// Describes the object that a type has by itself.
    pub(super) fn own() -> Self {
        Blueprint(Arc::new(Inner { object: "its own", key: Key::OWN, arguments: Ok(Vec::new()) }))
    }

    /// Appends the description to a job's arguments.
    pub fn put<'v>(&'v self, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        match &self.0.arguments {
            Ok(arguments) => Described { key: self.0.key, arguments }.put(to),
            Err(error) => return Err(error.clone().context(format!("describe the object `{}`", self.0.object))),
        }
        Ok(())
    }

    /// The description alone.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut encoder = Encoder::default();
        self.put(&mut encoder)?;
        Ok(encoder.into_bytes())
    }
}

impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.object, self.0.key.number)
    }
}
