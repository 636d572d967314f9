//! How a borrowed argument travels: the caller's `&T` enters; in the worker something is held from which a `&T` can be
//! lent while the target runs. For runs of bytes that is the memory which both processes share; nothing is copied.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::encoder::Encoder;
use super::error::CodecError;
use super::value::{Codec, SerdeCodec, Travel};
use super::wire;

/// A way in which a borrowed `T` travels.
#[doc(hidden)]
pub trait Lend<T: ?Sized> {
    /// What the worker holds while the target runs.
    type Held<'i>;

    /// Writes `value` as one among others.
    fn put_ref<'v>(&self, value: &'v T, to: &mut Encoder<'v>) -> Result<(), CodecError>;

    /// Takes what is to be held off the front of `from`.
    fn hold<'i>(&self, from: &mut &'i [u8]) -> Result<Self::Held<'i>, CodecError>;

    /// Lends what is held.
    fn lend<'h>(&self, held: &'h Self::Held<'_>) -> &'h T;
}

/// Sized types are decoded, and held as what they are.
impl<T, C: Codec<T>> Lend<T> for C {
    type Held<'i> = T;

    fn put_ref<'v>(&self, value: &'v T, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        self.put(value, to)
    }

    fn hold<'i>(&self, from: &mut &'i [u8]) -> Result<Self::Held<'i>, CodecError> {
        self.take(from)
    }

    fn lend<'h>(&self, held: &'h T) -> &'h T {
        held
    }
}

/// The codec of `&str`, `&[u8]`, `&Path` and `&OsStr`.
#[derive(Debug, Clone, Copy)]
pub struct RunCodec;

/// A type that is a view of a run of bytes.
trait RunView {
    /// The bytes.
    fn as_run(&self) -> &[u8];

    /// The bytes as this type.
    fn view(bytes: &[u8]) -> Result<&Self, CodecError>;
}

impl RunView for [u8] {
    fn as_run(&self) -> &[u8] {
        self
    }

    fn view(bytes: &[u8]) -> Result<&Self, CodecError> {
        Ok(bytes)
    }
}

impl RunView for str {
    fn as_run(&self) -> &[u8] {
        self.as_bytes()
    }

    fn view(bytes: &[u8]) -> Result<&Self, CodecError> {
        wire::utf8(bytes)
    }
}

impl RunView for OsStr {
    fn as_run(&self) -> &[u8] {
        self.as_bytes()
    }

    fn view(bytes: &[u8]) -> Result<&Self, CodecError> {
        Ok(OsStr::from_bytes(bytes))
    }
}

impl RunView for Path {
    fn as_run(&self) -> &[u8] {
        self.as_os_str().as_bytes()
    }

    fn view(bytes: &[u8]) -> Result<&Self, CodecError> {
        Ok(Path::new(OsStr::from_bytes(bytes)))
    }
}

/// A macro and not `impl<T: RunView + ?Sized>`, which would overlap with the sized types above.
macro_rules! lend_views {
    ($($view:ty),*) => {$(
        impl Lend<$view> for RunCodec {
            type Held<'i> = &'i $view;

            fn put_ref<'v>(&self, value: &'v $view, to: &mut Encoder<'v>) -> Result<(), CodecError> {
                to.put_run(RunView::as_run(value));
                Ok(())
            }

            fn hold<'i>(&self, from: &mut &'i [u8]) -> Result<&'i $view, CodecError> {
                RunView::view(wire::take_run(from)?)
            }

            fn lend<'h>(&self, held: &'h &$view) -> &'h $view {
                held
            }
        }
    )*};
}

lend_views!([u8], str, OsStr, Path);

/// The codec of a `&[T]` that is no `&[u8]`: the worker holds a `Vec<T>`.
#[derive(Debug)]
pub struct SliceCodec<T> {
    put: fn(&[T], &mut Vec<u8>) -> Result<(), CodecError>,
    held: SerdeCodec<Vec<T>>,
}

impl<T: Travel> SliceCodec<T> {
    pub(crate) const NEW: Self = SliceCodec { put: wire::put_value::<[T]>, held: SerdeCodec::NEW };
}

impl<T> Lend<[T]> for SliceCodec<T> {
    type Held<'i> = Vec<T>;

    fn put_ref<'v>(&self, value: &'v [T], to: &mut Encoder<'v>) -> Result<(), CodecError> {
        (self.put)(value, to.bytes())
    }

    fn hold<'i>(&self, from: &mut &'i [u8]) -> Result<Self::Held<'i>, CodecError> {
        self.held.take(from)
    }

    fn lend<'h>(&self, held: &'h Vec<T>) -> &'h [T] {
        held
    }
}
