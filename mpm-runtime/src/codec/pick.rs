//! Picks the codec of a type. A [`Tag`] of the type enters; the best codec for it leaves.
//!
//! Rust has no specialisation, but method calls prefer the receiver that needs the fewest dereferences. Generated code
//! calls `(&&&&Tag::<T>::NEW).__mpm_codec()`. The four traits here have that method on `&&&Tag`, `&&Tag`, `&Tag` and
//! `Tag`, and the first whose conditions `T` meets wins. That works because targets have no generic parameters: `T`
//! is a concrete type wherever this stands, whatever alias it was written under.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::path::Path;

use super::bytes::{ByteRun, BytesCodec};
use super::lend::{RunCodec, SliceCodec};
use super::value::{OptionCodec, ResultCodec, SerdeCodec};

/// A value that stands for a type.
#[doc(hidden)]
#[derive(Debug)]
pub struct Tag<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Tag<T> {
    /// The one value.
    pub const NEW: Self = Tag(PhantomData);
}

/// First choice: the type is a run of bytes.
#[doc(hidden)]
pub trait PickBytes {
    /// The codec.
    type Codec;
    /// Picks it.
    fn __mpm_codec(&self) -> Self::Codec;
}

impl<T: ByteRun> PickBytes for &&&Tag<T> {
    type Codec = BytesCodec;

    fn __mpm_codec(&self) -> BytesCodec {
        BytesCodec
    }
}

macro_rules! pick_views {
    ($($view:ty),*) => {$(
        impl PickBytes for &&&Tag<$view> {
            type Codec = RunCodec;

            fn __mpm_codec(&self) -> RunCodec {
                RunCodec
            }
        }
    )*};
}

pick_views!([u8], str, OsStr, Path);

/// Second choice: there is a run of bytes in an `Option` or a `Result`; or it is a slice of other things.
#[doc(hidden)]
pub trait PickInner {
    /// The codec.
    type Codec;
    /// Picks it.
    fn __mpm_codec(&self) -> Self::Codec;
}

impl<T: ByteRun> PickInner for &&Tag<Option<T>> {
    type Codec = OptionCodec<BytesCodec>;

    fn __mpm_codec(&self) -> Self::Codec {
        OptionCodec(BytesCodec)
    }
}

impl<T: ByteRun, E> PickInner for &&Tag<Result<T, E>> {
    type Codec = ResultCodec<BytesCodec>;

    fn __mpm_codec(&self) -> Self::Codec {
        ResultCodec(BytesCodec)
    }
}

impl<T> PickInner for &&Tag<[T]> {
    type Codec = SliceCodec;

    fn __mpm_codec(&self) -> SliceCodec {
        SliceCodec
    }
}

/// Third choice: another `Option` or `Result`. serde could take it whole; taken apart, a missing `Serialize` is
/// reported for the type that misses it.
#[doc(hidden)]
pub trait PickOuter {
    /// The codec.
    type Codec;
    /// Picks it.
    fn __mpm_codec(&self) -> Self::Codec;
}

impl<T> PickOuter for &Tag<Option<T>> {
    type Codec = OptionCodec<SerdeCodec>;

    fn __mpm_codec(&self) -> Self::Codec {
        OptionCodec(SerdeCodec)
    }
}

impl<T, E> PickOuter for &Tag<Result<T, E>> {
    type Codec = ResultCodec<SerdeCodec>;

    fn __mpm_codec(&self) -> Self::Codec {
        ResultCodec(SerdeCodec)
    }
}

/// Last choice: serde. Whether the type can do it is asked where the codec is used, so that the error is about the
/// type and not about this method.
#[doc(hidden)]
pub trait PickSerde {
    /// Picks the codec.
    fn __mpm_codec(&self) -> SerdeCodec;
}

impl<T: ?Sized> PickSerde for Tag<T> {
    fn __mpm_codec(&self) -> SerdeCodec {
        SerdeCodec
    }
}
