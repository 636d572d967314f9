//! Numbers of variable length, and runs of bytes with their length in front.

use std::str::Utf8Error;

use crate::codec::error::CodecError;

/// Values may nest this deep, far beyond what is written by hand and far below what a stack can hold.
pub(super) const DEEPEST: u32 = 256;

/// A value that nests deeper than [`DEEPEST`].
pub(super) fn too_deep() -> CodecError {
    CodecError::new(format!("the value nests more than {DEEPEST} levels deep"))
}

/// Appends the length of `bytes` and then `bytes`.
pub(crate) fn put_run(bytes: &[u8], to: &mut Vec<u8>) {
    to.reserve(bytes.len() + MAX_VARINT);
    put_varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// Appends the length of `bytes` alone, for bytes that follow by another way.
pub(crate) fn put_length(bytes: &[u8], to: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, to);
}

/// Takes off what [`put_run`] appended, without copying it.
pub(crate) fn take_run<'i>(from: &mut &'i [u8]) -> Result<&'i [u8], CodecError> {
    let length = take_varint(from)?;
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

/// Takes off `N` bytes.
pub(super) fn take_array<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (array, rest) = from.split_first_chunk().ok_or_else(too_short)?;
    *from = rest;
    Ok(*array)
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
#[inline]
pub(crate) fn nothing_left(from: &[u8]) -> Result<(), CodecError> {
    match from.len() {
        0 => Ok(()),
        left => Err(CodecError::new(format!("{left} bytes are left over behind the value"))),
    }
}

/// The most bytes of a 64-bit number, at seven bits to a byte.
const MAX_VARINT: usize = u64::BITS.div_ceil(7) as usize;

/// Appends a number, seven bits to a byte, the lowest first; all bytes but the last have the top bit.
pub(crate) fn put_varint(mut number: u64, to: &mut Vec<u8>) {
    to.reserve(MAX_VARINT);
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// The same for the largest numbers.
pub(super) fn put_varint_128(mut number: u128, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Takes off what [`put_varint`] appended.
#[inline]
pub(crate) fn take_varint(from: &mut &[u8]) -> Result<u64, CodecError> {
    // Nearly all have few bytes: no sum of so many is too large.
    let (mut number, mut shift, mut bytes) = (0, 0, from.iter());
    while shift < 7 * (MAX_VARINT - 1)
        && let Some(byte) = bytes.next()
    {
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *from = bytes.as_slice();
            return Ok(number);
        }
        shift += 7;
    }
    take_long_varint(from)
}

#[inline(never)]
fn take_long_varint(from: &mut &[u8]) -> Result<u64, CodecError> {
    u64::try_from(take_varint_128(from)?).map_err(|_| too_large())
}

/// Takes off what [`put_varint_128`] appended.
pub(super) fn take_varint_128(from: &mut &[u8]) -> Result<u128, CodecError> {
    let mut number = 0_u128;
    for shift in (0..u128::BITS).step_by(7) {
        let byte = take_byte(from)?;
        let bits = u128::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            return Err(too_large());
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(too_large())
}

/// A number that does not fit its type.
pub(crate) fn too_large() -> CodecError {
    CodecError::new("a number is too large for its type")
}
