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
use super::value::{OptionCodec, ResultCodec, SerdeCodec, Travel};

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

/// Second choice: there is a run of bytes in an `Option` or a `Result`, or it is a slice of other things. `N` is the type
/// that still needs serde. The condition stands on the method, where it does not take part in the choice: a type that
/// does not meet it is an error about that type, at the call.
#[doc(hidden)]
pub trait PickInner<N> {
    /// The codec.
    type Codec;
    /// Picks it.
    fn __mpm_codec(&self) -> Self::Codec
    where
        N: Travel;
}

impl<T: ByteRun> PickInner<()> for &&Tag<Option<T>> {
    type Codec = OptionCodec<BytesCodec>;

    fn __mpm_codec(&self) -> Self::Codec {
        OptionCodec(BytesCodec)
    }
}

impl<T: ByteRun, E> PickInner<E> for &&Tag<Result<T, E>> {
    type Codec = ResultCodec<BytesCodec, E>;

    fn __mpm_codec(&self) -> Self::Codec
    where
        E: Travel,
    {
        ResultCodec(BytesCodec, SerdeCodec::NEW)
    }
}

impl<T> PickInner<T> for &&Tag<[T]> {
    type Codec = SliceCodec<T>;

    fn __mpm_codec(&self) -> Self::Codec
    where
        T: Travel,
    {
        SliceCodec::NEW
    }
}

/// Third choice: another `Option` or `Result`. serde could take it whole; taken apart, what cannot travel is reported
/// for the type that is the reason.
#[doc(hidden)]
pub trait PickOuter<T, E> {
    /// The codec.
    type Codec;
    /// Picks it.
    fn __mpm_codec(&self) -> Self::Codec
    where
        T: Travel,
        E: Travel;
}

impl<T> PickOuter<T, ()> for &Tag<Option<T>> {
    type Codec = OptionCodec<SerdeCodec<T>>;

    fn __mpm_codec(&self) -> Self::Codec
    where
        T: Travel,
    {
        OptionCodec(SerdeCodec::NEW)
    }
}

impl<T, E> PickOuter<T, E> for &Tag<Result<T, E>> {
    type Codec = ResultCodec<SerdeCodec<T>, E>;

    fn __mpm_codec(&self) -> Self::Codec
    where
        T: Travel,
        E: Travel,
    {
        ResultCodec(SerdeCodec::NEW, SerdeCodec::NEW)
    }
}

/// Last choice: serde.
#[doc(hidden)]
pub trait PickSerde<T> {
    /// Picks the codec.
    fn __mpm_codec(&self) -> SerdeCodec<T>
    where
        T: Travel;
}

impl<T> PickSerde<T> for Tag<T> {
    fn __mpm_codec(&self) -> SerdeCodec<T>
    where
        T: Travel,
    {
        SerdeCodec::NEW
    }
}
