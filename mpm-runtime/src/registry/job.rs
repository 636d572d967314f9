//! One call that has not happened yet: a target and its arguments enter, encoded arguments leave when a pool asks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::options::JobOptions;
use super::target::Target;
use crate::codec::{CodecError, Encoder, panic_message};

/// One call of a target, with its arguments: what `f::job(…)` returns and a pool takes.
///
/// Nothing is encoded and nothing runs before a pool gets it. Borrowed arguments are borrowed until then, and no longer.
///
/// ```
/// use mpm::worker;
///
/// #[worker(name = "length")]
/// fn length(text: &str) -> usize {
///     text.len()
/// }
///
/// let text = String::from("seven");
/// let job = length::job(&text);
/// assert_eq!(format!("{job:?}"), "Job(length)");
/// ```
#[must_use = "a job does nothing until a pool gets it"]
pub struct Job<'a, F: Target> {
    args: F::Args<'a>,
    options: Option<Box<JobOptions>>,
}

impl<'a, F: Target> Job<'a, F> {
    /// A call with these arguments.
    #[doc(hidden)]
    pub fn new(args: F::Args<'a>) -> Self {
        Job { args, options: None }
    }

    /// Encodes the arguments into `to`.
    #[doc(hidden)]
    pub fn encode_to<'v>(&'v self, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        F::encode(&self.args, to)
    }

    /// The encoded arguments.
    #[doc(hidden)]
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut encoder = Encoder::default();
        self.encode_to(&mut encoder)?;
        Ok(encoder.into_bytes())
    }
}

impl<F: Target> Job<'_, F> {
    /// As [`encode_to`](Self::encode_to). A `Serialize` of the user's that panics becomes an error like one that refuses.
    pub(crate) fn encode_caught_to<'v>(&'v self, to: &mut Encoder<'v>) -> Result<(), String> {
        match catch_unwind(AssertUnwindSafe(|| self.encode_to(to))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(payload) => Err(format!("encoding the arguments panicked: {}", panic_message(&*payload))),
        }
    }
}

impl<F: Target> Job<'_, F> {
    /// What it asks for, if anything.
    pub(crate) fn options(&self) -> Option<&JobOptions> {
        self.options.as_deref()
    }

    pub(super) fn options_mut(&mut self) -> &mut JobOptions {
        self.options.get_or_insert_default()
    }

    /// As [`encode_caught_to`](Self::encode_caught_to), into memory of its own.
    pub(crate) fn encode_caught(&self) -> Result<Vec<u8>, String> {
        let mut encoder = Encoder::default();
        self.encode_caught_to(&mut encoder).map(|()| encoder.into_bytes())
    }
}

impl<F: Target> fmt::Debug for Job<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", F::NAME)
    }
}
