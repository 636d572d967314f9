//! How values travel between processes. Rust values enter and bytes leave, or the other way round; besides, the things
//! that tell of a job's end and travel as values: [`Panic`] and [`Failure`].
//!
//! A value is one of two kinds. Runs of bytes ([`ByteRun`]: `Vec<u8>`, `String`, `&[u8]`, …) are copied as one piece.
//! Everything else goes through serde in the [postcard](https://postcard.jamesmunns.com/wire-format) format.
//! Which kind a type is, the compiler decides per type (`pick.rs`), so that type aliases make no difference.
//!
//! Bytes are also used in two positions. An *argument* is followed by other arguments, so it says how long it is. A
//! *result* is alone, so that the bytes of a `Vec<u8>` are the result and nothing is in front of them.
//!
//! Arguments are encoded into an [`Encoder`], which leaves large runs where they lie: they are copied once, by whoever puts the
//! arguments into shared memory.
//!
//! Whatever the bytes are, reading them ends in a value or in a [`CodecError`].
//!
//! Invariant: nothing here knows a process, a job or a pool; nothing here is unsafe.

mod bytes;
mod call;
mod encoder;
mod error;
mod failure;
mod lend;
mod object;
mod panic;
mod pick;
#[cfg(test)]
mod tests;
mod value;
mod wire;

pub use bytes::ByteRun;
pub use call::{Arguments, Call, CallError, lend, put, put_lent, read};
pub(crate) use call::{Decode, decode_caught};
pub use encoder::Encoder;
pub use error::CodecError;
pub use failure::Failure;
pub use lend::Lend;
pub(crate) use object::{Cause, Unbuilt};
pub use object::{Described, Key};
pub(crate) use panic::NoValue;
pub use panic::{Panic, panic_message};
pub use pick::{PickBytes, PickInner, PickOuter, PickSerde, Tag};
pub use value::{Codec, Travel};
