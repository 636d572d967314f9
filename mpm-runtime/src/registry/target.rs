//! The trait behind the types that `#[worker]` makes.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::codec::{CodecError, Encoder};

/// A function, or a method of an object, that workers can run.
///
/// `#[worker]` on a function makes a type of the function's name and implements this for it; on an `impl` block, types for its methods;
/// on a struct, it implements this for that. It is not meant to be implemented by hand, since workers find only what is registered.
///
/// ```
/// use mpm::{Target, worker};
///
/// #[worker(name = "halves")]
/// fn half(n: u32) -> u32 {
///     n / 2
/// }
///
/// fn name_of<F: Target>() -> &'static str {
///     F::NAME
/// }
/// assert_eq!(name_of::<half>(), "halves");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a worker target",
    label = "put `#[worker]` on the function",
    note = "`#[worker] fn f(…)` makes a type `f` that implements `Target`"
)]
pub trait Target: Sized + 'static {
    /// The name under which workers find the target.
    const NAME: &'static str;

    /// The arguments: `()` for none, the type itself for one, a tuple for more. Borrowed ones live for `'job`.
    type Args<'job>;

    /// What it returns.
    type Output;

    /// Encodes the arguments into `to`, where their large runs of bytes stay what they are.
    ///
    /// # Errors
    ///
    /// An argument whose `Serialize` refuses it.
    fn encode<'v>(args: &'v Self::Args<'_>, to: &mut Encoder<'v>) -> Result<(), CodecError>;

    /// Decodes what a worker sent. For results that are bytes, those that are given away become the result.
    ///
    /// # Errors
    ///
    /// Bytes that are not a value of this type.
    fn decode_output(bytes: Cow<'_, [u8]>) -> Result<Self::Output, CodecError>;

    /// Where this program remembers the target's place in the registry.
    #[doc(hidden)]
    fn index() -> &'static Index;
}

/// A target's place in the registry, once it was looked up; `None` if it is not there.
#[doc(hidden)]
pub type Index = OnceLock<Option<u32>>;
