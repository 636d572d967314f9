//! How one owned value travels: the trait [`Codec`], its implementation over serde, and those that look one level into
//! `Option` and `Result`, so that the bytes inside of them still move as one piece.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::encoder::Encoder;
use super::error::CodecError;
use super::wire;

/// A way in which values of `T` travel. Each codec is picked by the compiler for a type (see `pick.rs`).
#[doc(hidden)]
pub trait Codec<T> {
    /// Writes `value` as one among others: it can be taken off again without knowing what follows.
    fn put<'v>(&self, value: &'v T, to: &mut Encoder<'v>) -> Result<(), CodecError>;

    /// Takes a value off the front of `from`.
    fn take(&self, from: &mut &[u8]) -> Result<T, CodecError>;

    /// Writes `value` as the only one.
    fn append(&self, value: &T, to: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Turns the bytes of an only value into the value; those that are given away may become its memory.
    fn read(&self, bytes: Cow<'_, [u8]>) -> Result<T, CodecError> {
        let mut from = &*bytes;
        let value = self.take(&mut from)?;
        wire::nothing_left(from)?;
        Ok(value)
    }

    /// What [`append`](Codec::append) would write, if that lies in the value already.
    fn as_run<'v>(&self, value: &'v T) -> Option<&'v [u8]> {
        let _ = value;
        None
    }
}

/// What serde can write and read without borrowing: everything that travels and is no run of bytes.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "no argument or result of a target can hold `{Self}`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, and for the types that it consists of",
    note = "an error type of another crate becomes an `mpm::Failure` with `?`"
)]
pub trait Travel: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Travel for T {}

/// The codec of everything that serde can handle.
///
/// It holds what serde does for `T` as functions, so that being a `Codec<T>` asks nothing of `T`: whether a type can
/// travel is asked once, where its codec is made, and a type that cannot is one error.
#[derive(Debug)]
pub struct SerdeCodec<T> {
    put: fn(&T, &mut Vec<u8>) -> Result<(), CodecError>,
    take: fn(&mut &[u8]) -> Result<T, CodecError>,
}

impl<T: Travel> SerdeCodec<T> {
    pub(crate) const NEW: Self = SerdeCodec { put: wire::put_value::<T>, take: wire::take_value::<T> };
}

impl<T> Codec<T> for SerdeCodec<T> {
    fn put<'v>(&self, value: &'v T, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        (self.put)(value, to.bytes())
    }

    fn append(&self, value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
        (self.put)(value, to)
    }

    fn take(&self, from: &mut &[u8]) -> Result<T, CodecError> {
        (self.take)(from)
    }
}

/// The codec of an `Option`, with the codec of what is in it.
///
/// As an argument a mark stands in front of the value; as a result it stands behind it, so that the bytes in front
/// of it become the value without being moved.
#[derive(Debug)]
pub struct OptionCodec<C>(pub(crate) C);

const NONE: u8 = 0;
const SOME: u8 = 1;

impl<T, C: Codec<T>> Codec<Option<T>> for OptionCodec<C> {
    fn put<'v>(&self, value: &'v Option<T>, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        match value {
            None => to.bytes().push(NONE),
            Some(value) => {
                to.bytes().push(SOME);
                self.0.put(value, to)?;
            }
        }
        Ok(())
    }

    fn take(&self, from: &mut &[u8]) -> Result<Option<T>, CodecError> {
        match wire::take_byte(from)? {
            NONE => Ok(None),
            SOME => self.0.take(from).map(Some),
            other => Err(wrong_mark(other, "an `Option`")),
        }
    }

    fn append(&self, value: &Option<T>, to: &mut Vec<u8>) -> Result<(), CodecError> {
        if let Some(value) = value {
            self.0.append(value, to)?;
        }
        to.push(if value.is_some() { SOME } else { NONE });
        Ok(())
    }

    fn read(&self, mut bytes: Cow<'_, [u8]>) -> Result<Option<T>, CodecError> {
        match take_last(&mut bytes)? {
            NONE => wire::nothing_left(&bytes).map(|()| None),
            SOME => self.0.read(bytes).map(Some),
            other => Err(wrong_mark(other, "an `Option`")),
        }
    }
}

/// The codec of a `Result`, with the codecs of both values. Marks stand where those of an `Option` stand.
#[derive(Debug)]
pub struct ResultCodec<C, E>(pub(crate) C, pub(crate) SerdeCodec<E>);

const OK: u8 = 0;
const ERR: u8 = 1;

impl<T, E, C: Codec<T>> Codec<Result<T, E>> for ResultCodec<C, E> {
    fn put<'v>(&self, value: &'v Result<T, E>, to: &mut Encoder<'v>) -> Result<(), CodecError> {
        match value {
            Ok(value) => {
                to.bytes().push(OK);
                self.0.put(value, to)
            }
            Err(error) => {
                to.bytes().push(ERR);
                self.1.put(error, to)
            }
        }
    }

    fn take(&self, from: &mut &[u8]) -> Result<Result<T, E>, CodecError> {
        match wire::take_byte(from)? {
            OK => self.0.take(from).map(Ok),
            ERR => self.1.take(from).map(Err),
            other => Err(wrong_mark(other, "a `Result`")),
        }
    }

    fn append(&self, value: &Result<T, E>, to: &mut Vec<u8>) -> Result<(), CodecError> {
        match value {
            Ok(value) => self.0.append(value, to)?,
            Err(error) => self.1.append(error, to)?,
        }
        to.push(if value.is_ok() { OK } else { ERR });
        Ok(())
    }

    fn read(&self, mut bytes: Cow<'_, [u8]>) -> Result<Result<T, E>, CodecError> {
        match take_last(&mut bytes)? {
            OK => self.0.read(bytes).map(Ok),
            ERR => self.1.read(bytes).map(Err),
            other => Err(wrong_mark(other, "a `Result`")),
        }
    }
}

/// Takes off the mark behind a value.
fn take_last(bytes: &mut Cow<'_, [u8]>) -> Result<u8, CodecError> {
    let last = match bytes {
        Cow::Owned(bytes) => bytes.pop(),
        Cow::Borrowed(bytes) => bytes.split_off_last().copied(),
    };
    last.ok_or_else(wire::too_short)
}

fn wrong_mark(byte: u8, what: &str) -> CodecError {
    CodecError::new(format!("the byte {byte} is no mark of {what}"))
}
