//! What generated code tells of one target.

use std::fmt;
use std::time::Duration;

use crate::codec::{Call, CallError};

/// One target, as `#[worker]` submits it.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Registration {
    /// The name, which is the same in all processes of the program.
    pub name: &'static str,
    /// The file in which the target stands.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The text of the function's signature.
    pub signature: &'static str,
    /// How long one attempt may run, if the target says so.
    pub timeout: Option<Duration>,
    /// How often a job that may have run is run again, if the target says so.
    pub retries: Option<u32>,
    /// Decodes the arguments, calls the function, delivers the result.
    pub call: fn(&mut Call<'_>) -> Result<(), CallError>,
}

inventory::collect!(Registration);

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({} at {}:{}:{})", self.name, self.file, self.line, self.column)
    }
}
