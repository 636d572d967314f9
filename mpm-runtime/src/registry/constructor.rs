//! What a constructor may return, and how its error is told. Rust types enter; text leaves, since the error of a constructor need not
//! be able to travel.
//!
//! How an error is told, the compiler picks by its type, as it picks codecs (`codec/pick.rs`): by the traits here, on `&&Tag`,
//! `&Tag` and `Tag`.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::ops::Deref;

use crate::codec::Tag;

/// What a constructor of `T` may return: a `T`, or a `Result` of one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a constructor returns `Self` or a `Result<Self, E>`, not `{Self}`",
    label = "return `Self` or a `Result<Self, E>`"
)]
pub trait Constructed<T> {
    /// With what it can fail.
    type Error;

    /// The object, or why there is none.
    fn made(self) -> Result<T, Self::Error>;
}

impl<T> Constructed<T> for T {
    type Error = Infallible;

    fn made(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E> Constructed<T> for Result<T, E> {
    type Error = E;

    fn made(self) -> Result<T, E> {
        self
    }
}

/// Tells an error with its sources, in one line.
fn with_sources(message: String, source: Option<&(dyn Error + 'static)>) -> String {
    std::iter::successors(source, |error| (*error).source()).fold(message, |text, source| format!("{text}: {source}"))
}

/// First choice: an error.
#[doc(hidden)]
pub trait TellError<E> {
    /// Picks the way.
    fn __mpm_tell(&self) -> fn(&E) -> String;
}

impl<E: Error> TellError<E> for &&Tag<E> {
    fn __mpm_tell(&self) -> fn(&E) -> String {
        |error| with_sources(error.to_string(), error.source())
    }
}

/// Second choice: a box with an error in it, whoever made the box.
#[doc(hidden)]
pub trait TellBoxed<E> {
    /// Picks the way.
    fn __mpm_tell(&self) -> fn(&E) -> String;
}

impl<E: Deref<Target: Error>> TellBoxed<E> for &Tag<E> {
    fn __mpm_tell(&self) -> fn(&E) -> String {
        |error| with_sources((**error).to_string(), (**error).source())
    }
}

/// What can be told.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the error of a constructor has to be shown, and `{Self}` has no `Display`",
    label = "implement `std::error::Error`, or `Display`, for it"
)]
pub trait Tellable: Display {}

#[diagnostic::do_not_recommend]
impl<E: Display> Tellable for E {}

/// Last choice: anything that can be shown. What keeps its sources to itself shows them by `{:#}`, as [`Failure`](crate::Failure) does.
#[doc(hidden)]
pub trait TellShown<E> {
    /// Picks the way.
    fn __mpm_tell(&self) -> fn(&E) -> String
    where
        E: Tellable;
}

impl<E> TellShown<E> for Tag<E> {
    fn __mpm_tell(&self) -> fn(&E) -> String
    where
        E: Tellable,
    {
        |error| format!("{error:#}")
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::codec::Failure;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("read the weights")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "as generated code has it, which does not know the type")]
    fn an_error_is_told_with_its_sources_whatever_it_is_in() {
        let outer = || Outer(io::Error::other("it is on fire"));
        let told = "read the weights: it is on fire";
        assert_eq!((&&&Tag::<Outer>::NEW).__mpm_tell()(&outer()), told);
        assert_eq!((&&&Tag::<Box<dyn Error>>::NEW).__mpm_tell()(&outer().into()), told);
        assert_eq!((&&&Tag::<Box<dyn Error + Send + Sync>>::NEW).__mpm_tell()(&outer().into()), told);
        assert_eq!((&&&Tag::<Failure>::NEW).__mpm_tell()(&outer().into()), told);
        assert_eq!((&&&Tag::<String>::NEW).__mpm_tell()(&told.to_owned()), told);
        assert_eq!((&&&Tag::<&'static str>::NEW).__mpm_tell()(&told), told);
    }
}
