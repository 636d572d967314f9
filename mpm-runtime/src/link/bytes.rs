//! A payload on its way: short ones lie in the value itself, so that they cost no memory of their own.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// Up to this many bytes lie in the value itself.
const SHORT: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(SmallVec<[u8; SHORT]>);

impl Bytes {
    pub(crate) fn zeros(len: usize) -> Self {
        // Short ones are set to zero by a few stores of a fixed length, without a call.
        Self(if len <= SHORT { SmallVec::from_buf_and_len([0; SHORT], len) } else { SmallVec::from_elem(0, len) })
    }

    /// The bytes of `vec`: copied out of it where they are short, so that it can be used again; else with its memory.
    pub(crate) fn take(vec: &mut Vec<u8>) -> Self {
        if vec.len() <= SHORT { Self(SmallVec::from_slice(vec)) } else { Self(SmallVec::from_vec(std::mem::take(vec))) }
    }

    /// As a vector; short ones are copied.
    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }

    /// Hands them to a decoder, with memory that the value may keep, if there is such.
    pub(crate) fn give<R>(self, to: impl FnOnce(Cow<'_, [u8]>) -> R) -> R {
        if self.0.spilled() { to(Cow::Owned(self.0.into_vec())) } else { to(Cow::Borrowed(&self.0)) }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(vec: Vec<u8>) -> Self {
        Self(SmallVec::from_vec(vec))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
