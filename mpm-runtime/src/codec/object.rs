//! What travels of an object: in front of a job's arguments the key by which a worker knows it and the encoded arguments of
//! its constructor; in answer to a job, why it could not be built.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::encoder::Encoder;
use super::error::CodecError;
use super::panic::Panic;
use super::wire;
use crate::error::NotBuilt;

/// By which a worker tells objects apart: the process that has described it, and which one of its objects it is.
///
/// The process belongs to it, since a worker that is a copy of another one may have objects that somebody else than its parent has
/// described.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) process: u32,
    pub(crate) number: u64,
}

impl Key {
    /// Of the object that a type has by itself, without being described.
    pub const OWN: Self = Key { process: 0, number: 0 };
}

/// An object as it is described in front of each job's arguments.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Described<'i> {
    pub(crate) key: Key,
    /// The encoded arguments of its constructor.
    pub(crate) arguments: &'i [u8],
}

impl<'i> Described<'i> {
    /// The object that a type has by itself.
    pub const OWN: Self = Described { key: Key::OWN, arguments: &[] };

    /// Appends it; its arguments stay where they lie, if they are large.
    pub(crate) fn put(self, to: &mut Encoder<'i>) {
        wire::put_varint(self.key.process.into(), to.bytes());
        wire::put_varint(self.key.number, to.bytes());
        to.put_run(self.arguments);
    }

    /// Takes it off the front of `from`.
    pub(super) fn take(from: &mut &'i [u8]) -> Result<Self, CodecError> {
        let process = u32::try_from(wire::take_varint(from)?).map_err(|_| wire::too_large())?;
        let number = wire::take_varint(from)?;
        Ok(Described { key: Key { process, number }, arguments: wire::take_run(from)? })
    }
}

/// Why an object was not built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// The constructor returned this error, told with its sources.
    Failed(String),
    Panicked(Panic),
}

/// An object that could not be built.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbuilt {
    /// Its type.
    pub(crate) object: String,
    pub(crate) cause: Cause,
    /// How many times in a row this has failed here.
    pub(crate) builds: u32,
    /// It will not be tried again here.
    pub(crate) gave_up: bool,
}

impl Unbuilt {
    /// One whose report cannot be read, for this reason.
    pub(crate) fn unread(reason: String) -> Self {
        Unbuilt { object: "(unknown)".to_owned(), cause: Cause::Failed(reason), builds: 0, gave_up: false }
    }

    /// As the error of a job; who ran it, the caller fills in.
    pub(crate) fn into_report(self, worker: &str, pid: u32, target: &'static str, job: u64) -> NotBuilt {
        let Unbuilt { object, cause, builds, gave_up } = self;
        let (panicked, panic) = match cause {
            Cause::Failed(reason) => (false, Panic::new(reason)),
            Cause::Panicked(panic) => (true, panic),
        };
        let Panic { message: reason, location, backtrace } = panic;
        let worker = worker.to_owned();
        NotBuilt { object, reason, panicked, location, backtrace, builds, gave_up, worker, pid, target, job, attempt: 1 }
    }
}

/// As the end of a sentence that begins with the constructor's name.
impl fmt::Display for Unbuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Failed(reason) => write!(f, "failed: {reason}"),
            Cause::Panicked(panic) => panic.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_comes_off_as_it_was_put() {
        let large = vec![7; 10_000];
        for (process, number, arguments) in [(0, 0, &b""[..]), (4711, 3, b"weights"), (u32::MAX, u64::MAX, &large)] {
            let described = Described { key: Key { process, number }, arguments };
            let mut encoder = Encoder::default();
            described.put(&mut encoder);
            encoder.bytes().push(9);
            let bytes = encoder.into_bytes();
            let mut from = &*bytes;
            let taken = Described::take(&mut from).expect("it is whole");
            assert_eq!((taken.key, taken.arguments, from), (described.key, arguments, &[9][..]));
        }
        assert!(Described::take(&mut &[1, 2, 5][..]).is_err());
        assert!(Described::take(&mut &[255; 20][..]).is_err());
    }
}
