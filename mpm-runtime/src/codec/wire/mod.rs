//! The lowest level: lengths, runs of bytes and serde values, on and off a buffer. Everything that reads untrusted bytes
//! is here.
//!
//! Values have the [postcard](https://postcard.jamesmunns.com/wire-format) format, which the tests check against the
//! crate of that name. Reading and writing it is done here, because mpm promises what that crate does not:
//!
//! - what a `Serialize` or `Deserialize` says when it refuses a value arrives in the error;
//! - bytes from a worker that went mad cannot end the parent: nesting is limited, so they cannot overflow the stack, and
//!   so are elements that take no bytes, so a short message cannot make an endless list.

mod access;
#[cfg(test)]
mod hostile;
mod read;
mod run;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::take_value;
pub(crate) use run::{
    not_utf8, nothing_left, put_length, put_run, put_varint, take_byte, take_run, take_varint, too_large, too_short, utf8,
};
pub(crate) use write::put_value;
