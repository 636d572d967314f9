//! An error that can travel. Any `std::error::Error` enters by `?`; its texts and the place where that happened arrive
//! on the other side.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The error type for targets that can fail in several ways.
///
/// Errors of libraries rarely can travel to another process. A `Failure` keeps what is worth keeping of them: the message,
/// the messages of the sources below it, and a backtrace if the environment asks for one (`RUST_BACKTRACE=1`). Every
/// error converts into it with `?`:
///
/// ```
/// use mpm::{Failure, worker};
///
/// #[worker]
/// fn parse(number: &str) -> Result<u32, Failure> {
///     if number.is_empty() {
///         return Err(Failure::new("there is no number"));
///     }
///     Ok(number.parse()?)
/// }
///
/// let failure = parse("seven").unwrap_err();
/// assert_eq!(failure.message(), "invalid digit found in string");
/// ```
///
/// As its own conversion from every error takes that place, it cannot implement `std::error::Error` itself.
///
/// `{}` prints the message, `{:#}` the message and all sources in one line, `{:?}` all of it in several lines.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    message: String,
    sources: Vec<String>,
    backtrace: Option<String>,
}

impl Failure {
    /// A failure with this message and no source.
    ///
    /// ```
    /// assert_eq!(mpm::Failure::new("no such page").to_string(), "no such page");
    /// ```
    pub fn new(message: impl fmt::Display) -> Self {
        Failure { message: message.to_string(), sources: Vec::new(), backtrace: backtrace() }
    }

    /// The same failure, as the source of one with this message: what was being done when it happened.
    ///
    /// ```
    /// let failure = mpm::Failure::from(std::io::Error::other("the disk is on fire")).context("read page 7");
    /// assert_eq!(format!("{failure:#}"), "read page 7: the disk is on fire");
    /// ```
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.sources.insert(0, std::mem::replace(&mut self.message, doing.to_string()));
        self
    }

    /// The message of the error itself.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message, then those of the sources, down to the root.
    ///
    /// ```
    /// let failure = mpm::Failure::from(std::io::Error::other("the disk is on fire"));
    /// assert_eq!(failure.chain().last(), Some("the disk is on fire"));
    /// ```
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        Chain { message: Some(&self.message), sources: self.sources.iter() }
    }

    /// The stack where the failure began, if the environment of that process asked for backtraces.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let sources = std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string);
        Failure { message: error.to_string(), sources: sources.collect(), backtrace: backtrace() }
    }
}

/// A failure is a value of the user's; where it ends a program, it is an error like any other.
impl From<Failure> for crate::error::Error {
    fn from(failure: Failure) -> Self {
        Self::new(crate::error::Kind::Job, format!("{failure:#}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if f.alternate() {
            for source in &self.sources {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.sources.is_empty() {
            f.write_str("\n\nCaused by:")?;
            for (at, source) in self.sources.iter().enumerate() {
                write!(f, "\n    {at}: {source}")?;
            }
        }
        if let Some(backtrace) = &self.backtrace {
            write!(f, "\n\nStack backtrace:\n{}", backtrace.trim_end())?;
        }
        Ok(())
    }
}

/// The iterator behind [`Failure::chain`].
struct Chain<'f> {
    message: Option<&'f str>,
    sources: std::slice::Iter<'f, String>,
}

impl<'f> Iterator for Chain<'f> {
    type Item = &'f str;

    fn next(&mut self) -> Option<&'f str> {
        self.message.take().or_else(|| self.sources.next().map(String::as_str))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = usize::from(self.message.is_some()) + self.sources.len();
        (length, Some(length))
    }
}

impl DoubleEndedIterator for Chain<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.sources.next_back().map(String::as_str).or_else(|| self.message.take())
    }
}

impl ExactSizeIterator for Chain<'_> {}

fn backtrace() -> Option<String> {
    let backtrace = Backtrace::capture();
    (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Failure;
    use crate::codec::Codec as _;
    use crate::codec::value::SerdeCodec;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("open the page")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_failure_keeps_all_messages_on_its_way() {
        fn fails() -> Result<(), Failure> {
            Err(Outer(io::Error::other(Outer(io::Error::other("the disk is on fire")))))?;
            Ok(())
        }
        let failure = fails().expect_err("it fails");
        let mut bytes = Vec::new();
        SerdeCodec::NEW.append(&failure, &mut bytes).expect("it travels");
        let failure: Failure = SerdeCodec::NEW.read(bytes.into()).expect("it arrives");
        assert_eq!(failure.to_string(), "open the page");
        // `io::Error::other` shows the error in it, and as its source what that one has below it.
        assert_eq!(format!("{failure:#}"), "open the page: open the page: the disk is on fire");
        assert_eq!(failure.chain().len(), 3);
        assert_eq!(failure.chain().next_back(), Some("the disk is on fire"));
        if failure.backtrace().is_none() {
            assert_eq!(format!("{failure:?}"), "open the page\n\nCaused by:\n    0: open the page\n    1: the disk is on fire");
        }
        assert_eq!(format!("{:#}", Failure::new("alone")), "alone");
        let passed_on = crate::error::Error::from(failure);
        assert!(passed_on.is_job() && passed_on.job().is_none(), "{passed_on}");
    }
}
