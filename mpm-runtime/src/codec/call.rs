//! One call of a target, as the worker sees it: the bytes of the arguments enter, the bytes of the result leave. The
//! functions below are the same for the parent, where arguments are encoded and the result is decoded.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::encoder::Encoder;
use super::error::{CodecError, Side};
use super::lend::Lend;
use super::object::{Described, Unbuilt};
use super::panic::panic_message;
use super::value::Codec;
use super::wire;
use crate::error::Phase;

/// One call: generated code takes the arguments off it, then runs the target, then gives it the result.
#[doc(hidden)]
pub struct Call<'i> {
    arguments: Arguments<'i>,
    scratch: &'i mut Vec<u8>,
    phase: &'i dyn Fn(Phase),
    deliver: &'i mut dyn FnMut(&[u8]),
}

/// Encoded arguments, which are taken off one after the other.
#[doc(hidden)]
#[derive(Debug)]
pub struct Arguments<'i>(&'i [u8]);

/// Why a call delivered nothing.
#[doc(hidden)]
#[derive(Debug)]
pub enum CallError {
    /// An argument or the result could not travel.
    Codec(CodecError),
    /// There is no object to call.
    NotBuilt(Box<Unbuilt>),
}

impl From<CodecError> for CallError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

/// Decodes a result.
pub(crate) type Decode<R> = fn(Cow<'_, [u8]>) -> Result<R, CodecError>;

/// Decodes with `decode`. A `Deserialize` of the user's that panics becomes an error like one that refuses.
#[inline]
pub(crate) fn decode_caught<'b, R>(
    decode: impl FnOnce(Cow<'b, [u8]>) -> Result<R, CodecError>,
    bytes: Cow<'b, [u8]>,
) -> Result<R, String> {
    match catch_unwind(AssertUnwindSafe(|| decode(bytes))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(payload) => Err(format!("decoding the result panicked: {}", panic_message(&*payload))),
    }
}

impl<'i> Arguments<'i> {
    /// Those that are encoded in `bytes`.
    pub(crate) fn new(bytes: &'i [u8]) -> Self {
        Self(bytes)
    }

    /// Takes off the next argument.
    #[inline]
    pub fn argument<T, C: Codec<T>>(&mut self, codec: &C, name: &str, ty: &str) -> Result<T, CodecError> {
        codec.take(&mut self.0).map_err(|error| argument_error("decode", error, name, ty))
    }

    /// Takes off the next argument, which is to be lent.
    pub fn borrowed<T: ?Sized, C: Lend<T>>(&mut self, codec: &C, name: &str, ty: &str) -> Result<C::Held<'i>, CodecError> {
        codec.hold(&mut self.0).map_err(|error| argument_error("decode", error, name, ty))
    }

    /// To be called after the last argument.
    #[inline]
    pub fn end(&self) -> Result<(), CodecError> {
        wire::nothing_left(self.0).map_err(|error| error.context("decode the arguments").on(Side::Argument))
    }
}

impl<'i> Call<'i> {
    /// A call with these encoded `arguments`.
    ///
    /// `scratch` is for results that have to be written somewhere, and can be used again for the next call. `phase` is
    /// told of each phase from `Building` or `Running` on, before it begins. `deliver` gets the encoded result, which is gone when it
    /// returns; it is called once, and not at all if the call fails.
    pub fn new(arguments: &'i [u8], scratch: &'i mut Vec<u8>, phase: &'i dyn Fn(Phase), deliver: &'i mut dyn FnMut(&[u8])) -> Self {
        Call { arguments: Arguments(arguments), scratch, phase, deliver }
    }

    /// Takes off the next argument.
    #[inline]
    pub fn argument<T, C: Codec<T>>(&mut self, codec: &C, name: &str, ty: &str) -> Result<T, CodecError> {
        self.arguments.argument(codec, name, ty)
    }

    /// Takes off the next argument, which is to be lent.
    pub fn borrowed<T: ?Sized, C: Lend<T>>(&mut self, codec: &C, name: &str, ty: &str) -> Result<C::Held<'i>, CodecError> {
        self.arguments.borrowed(codec, name, ty)
    }

    /// Takes off the object whose method is called.
    pub fn object(&mut self) -> Result<Described<'i>, CodecError> {
        let described = Described::take(&mut self.arguments.0);
        described.map_err(|error| error.context("decode which object is meant").on(Side::Argument))
    }

    /// To be called between the last argument and the building of an object, where it has to be built.
    pub(crate) fn build(&mut self) -> Result<(), CodecError> {
        self.arguments.end()?;
        (self.phase)(Phase::Building);
        Ok(())
    }

    /// To be called between the last argument and the target.
    #[inline]
    pub fn run(&mut self) -> Result<(), CodecError> {
        self.arguments.end()?;
        (self.phase)(Phase::Running);
        Ok(())
    }

    /// Delivers what the target returned: from where it lies if it is a run of bytes, otherwise from the scratch buffer.
    pub fn finish<T, C: Codec<T>>(&mut self, codec: &C, result: &T, ty: &str) -> Result<(), CodecError> {
        (self.phase)(Phase::Encoding);
        let bytes = match codec.as_run(result) {
            Some(bytes) => bytes,
            None => {
                self.scratch.clear();
                codec.append(result, self.scratch).map_err(|error| result_error("encode", error, ty))?;
                &*self.scratch
            }
        };
        (self.phase)(Phase::Sending);
        (self.deliver)(bytes);
        Ok(())
    }
}

/// Lends what [`Call::borrowed`] took off.
#[doc(hidden)]
pub fn lend<'h, T: ?Sized, C: Lend<T>>(codec: &C, held: &'h C::Held<'_>) -> &'h T {
    codec.lend(held)
}

/// Encodes one argument.
#[doc(hidden)]
pub fn put<'v, T, C: Codec<T>>(codec: &C, value: &'v T, name: &str, ty: &str, to: &mut Encoder<'v>) -> Result<(), CodecError> {
    codec.put(value, to).map_err(|error| argument_error("encode", error, name, ty))
}

/// Encodes one borrowed argument.
#[doc(hidden)]
pub fn put_lent<'v, T: ?Sized, C: Lend<T>>(
    codec: &C,
    value: &'v T,
    name: &str,
    ty: &str,
    to: &mut Encoder<'v>,
) -> Result<(), CodecError> {
    codec.put_ref(value, to).map_err(|error| argument_error("encode", error, name, ty))
}

/// Decodes a result.
#[doc(hidden)]
pub fn read<T, C: Codec<T>>(codec: &C, bytes: Cow<'_, [u8]>, ty: &str) -> Result<T, CodecError> {
    codec.read(bytes).map_err(|error| result_error("decode", error, ty))
}

fn argument_error(doing: &str, error: CodecError, name: &str, ty: &str) -> CodecError {
    error.context(format!("{doing} argument `{name}` of type `{ty}`")).on(Side::Argument)
}

fn result_error(doing: &str, error: CodecError, ty: &str) -> CodecError {
    error.context(format!("{doing} the result of type `{ty}`")).on(Side::Result)
}
