//! Why a value could not be encoded or decoded. The reason enters where it is found; on the way out, every level adds
//! what it was about to do.

use std::fmt;

/// A value that could not be encoded, or bytes that could not be decoded.
///
/// It reads as a chain from the outside to the reason, in words that fit behind "failed to":
/// ``decode argument `b` of type `&str`: not UTF-8 from byte 3 on``.
#[derive(Clone, PartialEq, Eq)]
pub struct CodecError {
    /// The reason first, then each level further out.
    chain: Vec<String>,
    side: Option<Side>,
}

/// Which way the value went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Argument,
    Result,
}

impl CodecError {
    /// An error with this reason.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        CodecError { chain: vec![reason.into()], side: None }
    }

    /// Arguments with which nothing can be done, for this reason.
    pub(crate) fn refused(reason: String) -> Self {
        Self::new(reason).on(Side::Argument)
    }

    /// Says what was about to be done when this happened.
    pub(crate) fn context(mut self, doing: impl Into<String>) -> Self {
        self.chain.push(doing.into());
        self
    }

    /// Says on which side of a call this happened.
    pub(crate) fn on(mut self, side: Side) -> Self {
        self.side = Some(side);
        self
    }

    /// Whether an argument was the reason: the target was not called.
    pub fn is_argument(&self) -> bool {
        self.side == Some(Side::Argument)
    }

    /// Whether the result was the reason: the target was called and returned.
    pub fn is_result(&self) -> bool {
        self.side == Some(Side::Result)
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.iter().rev().map(String::as_str).collect::<Vec<_>>().join(": "))
    }
}

impl fmt::Debug for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodecError({self})")
    }
}

impl std::error::Error for CodecError {}
