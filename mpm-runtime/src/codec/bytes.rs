//! Values that are one run of bytes, and the codec that moves them as one piece. serde would take a `Vec<u8>` element
//! by element, and knows arrays only up to 32 elements.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::encoder::Encoder;
use super::error::CodecError;
use super::value::Codec;
use super::wire;

/// A type whose value is one run of bytes.
#[doc(hidden)]
pub trait ByteRun: Sized {
    /// The bytes.
    fn as_run(&self) -> &[u8];

    /// The value with these bytes, which it keeps if they are owned and its memory is a `Vec`.
    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError>;
}

impl ByteRun for Vec<u8> {
    fn as_run(&self) -> &[u8] {
        self
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        Ok(bytes.into_owned())
    }
}

impl ByteRun for Box<[u8]> {
    fn as_run(&self) -> &[u8] {
        self
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        Ok(bytes.into_owned().into_boxed_slice())
    }
}

impl<const N: usize> ByteRun for [u8; N] {
    fn as_run(&self) -> &[u8] {
        self
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        Self::try_from(&*bytes).map_err(|_| CodecError::new(format!("{} bytes where {N} belong", bytes.len())))
    }
}

impl ByteRun for String {
    fn as_run(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        // Checked before it is copied: hostile bytes cost no memory.
        match bytes {
            Cow::Borrowed(bytes) => wire::utf8(bytes).map(str::to_owned),
            Cow::Owned(bytes) => String::from_utf8(bytes).map_err(|error| wire::not_utf8(error.utf8_error())),
        }
    }
}

impl ByteRun for Box<str> {
    fn as_run(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        String::from_run(bytes).map(String::into_boxed_str)
    }
}

impl ByteRun for OsString {
    fn as_run(&self) -> &[u8] {
        self.as_os_str().as_bytes()
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        Ok(OsString::from_vec(bytes.into_owned()))
    }
}

impl ByteRun for PathBuf {
    fn as_run(&self) -> &[u8] {
        OsStr::as_bytes(self.as_os_str())
    }

    fn from_run(bytes: Cow<'_, [u8]>) -> Result<Self, CodecError> {
        OsString::from_run(bytes).map(PathBuf::from)
    }
}

/// The codec of every [`ByteRun`].
#[derive(Debug, Clone, Copy)]
pub struct BytesCodec;

impl<T: ByteRun> Codec<T> for BytesCodec {
    fn put<'v>(&self, value: &'v T, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        to.put_run(value.as_run());
        Ok(())
    }

    fn take(&self, from: &mut &[u8]) -> Result<T, CodecError> {
        T::from_run(Cow::Borrowed(wire::take_run(from)?))
    }

    fn append(&self, value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(value.as_run());
        Ok(())
    }

    fn read(&self, bytes: Cow<'_, [u8]>) -> Result<T, CodecError> {
        T::from_run(bytes)
    }

    fn as_run<'v>(&self, value: &'v T) -> Option<&'v [u8]> {
        Some(value.as_run())
    }
}
