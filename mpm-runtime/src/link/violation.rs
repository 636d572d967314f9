//! What the parent says of a worker that has broken the protocol.

use std::fmt;

/// The worker has written what no worker of ours writes: its memory is damaged. The text says what was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
