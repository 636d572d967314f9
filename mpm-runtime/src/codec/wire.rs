//! The lowest level: lengths, runs of bytes and serde values, on and off a buffer. Everything that reads untrusted
//! bytes is here, and nothing here takes more memory than the bytes at hand can pay for.

use std::str::Utf8Error;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::CodecError;

/// Appends the length of `bytes` and then `bytes`.
pub(crate) fn put_run(bytes: &[u8], to: &mut Vec<u8>) {
    to.reserve(bytes.len() + MAX_VARINT);
    let mut rest = bytes.len() as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
    to.extend_from_slice(bytes);
}

/// Takes off what [`put_run`] appended, without copying it.
pub(crate) fn take_run<'i>(from: &mut &'i [u8]) -> Result<&'i [u8], CodecError> {
    let length = take_length(from)?;
    let too_long = || CodecError::new(format!("{length} bytes announced, {} left", from.len()));
    let length = usize::try_from(length).map_err(|_| too_long())?;
    let (run, rest) = from.split_at_checked(length).ok_or_else(too_long)?;
    *from = rest;
    Ok(run)
}

/// Takes off one byte.
pub(crate) fn take_byte(from: &mut &[u8]) -> Result<u8, CodecError> {
    let (byte, rest) = from.split_first().ok_or_else(too_short)?;
    *from = rest;
    Ok(*byte)
}

/// Appends `value` as serde and postcard write it.
pub(crate) fn put_value<T: Serialize + ?Sized>(value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = to.len();
    postcard::serialize_with_flavor(value, Append(&mut *to)).map_err(|error| {
        to.truncate(before);
        CodecError::new(reason(error))
    })
}

/// Takes a serde value off.
pub(crate) fn take_value<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, CodecError> {
    let (value, rest) = postcard::take_from_bytes(from).map_err(|error| CodecError::new(reason(error)))?;
    *from = rest;
    Ok(value)
}

/// `bytes` as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(bytes).map_err(not_utf8)
}

/// Bytes that are no text.
pub(crate) fn not_utf8(error: Utf8Error) -> CodecError {
    CodecError::new(format!("not UTF-8 from byte {} on", error.valid_up_to()))
}

/// Bytes that end before the value does.
pub(crate) fn too_short() -> CodecError {
    CodecError::new("the bytes end before the value does")
}

/// Both ends agree on what a value is, so bytes behind it mean that they do not.
pub(crate) fn nothing_left(from: &[u8]) -> Result<(), CodecError> {
    match from.len() {
        0 => Ok(()),
        left => Err(CodecError::new(format!("{left} bytes are left over behind the value"))),
    }
}

/// Seven bits to a byte.
const MAX_VARINT: usize = u64::BITS.div_ceil(7) as usize;

fn take_length(from: &mut &[u8]) -> Result<u64, CodecError> {
    let mut length = 0_u64;
    for at in 0..MAX_VARINT {
        let byte = take_byte(from)?;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * at as u32;
        if bits.leading_zeros() < shift {
            break;
        }
        length |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(CodecError::new("a length of more than 64 bits"))
}

/// Lets postcard write to the end of a buffer that is already in use.
struct Append<'b>(&'b mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn reason(error: postcard::Error) -> String {
    error.to_string()
}
