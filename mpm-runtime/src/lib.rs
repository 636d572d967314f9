//! mpm runs Rust functions in other processes, from one binary.

mod codec;
mod registry;

pub use codec::{CodecError, Failure, Panic, Phase};
pub use mpm_macros::{main, test, worker};
pub use registry::{Job, Target};

/// Turns a re-executed program into a worker; in the parent it returns.
pub fn init() {}

/// What generated code names. No part of the public interface: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::vec::Vec;

    pub use inventory;

    pub use crate::codec::{
        ByteRun, Call, Codec, CodecError, Lend, Phase, PickBytes, PickInner, PickOuter, PickSerde, Tag, Travel, lend,
        panic_message, put, put_lent, read,
    };
    pub use crate::registry::{DuplicateTarget, Index, Registration, Registry, UnknownTarget};

    /// The first act of every `#[mpm::test]`.
    pub fn enter_test(path: &'static str) {
        let _ = path;
    }
}
