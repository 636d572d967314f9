//! The two mistakes that only show when all targets are known.

use std::error::Error;
use std::fmt;

use super::registration::Registration;

/// A name that no target of this program has.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTarget {
    name: String,
    /// The first names of the registry.
    known: Vec<&'static str>,
    /// How many more there are.
    more: usize,
}

/// As many names as can be read at a glance.
const SHOWN: usize = 20;

impl UnknownTarget {
    pub(crate) fn new(name: &str, targets: &[&'static Registration]) -> Self {
        UnknownTarget {
            name: name.to_owned(),
            known: targets.iter().take(SHOWN).map(|target| target.name).collect(),
            more: targets.len().saturating_sub(SHOWN),
        }
    }
}

impl fmt::Display for UnknownTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "find the target `{}`: this program has ", self.name)?;
        if self.known.is_empty() {
            f.write_str("none")?;
        } else {
            write!(f, "`{}`", self.known.join("`, `"))?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        f.write_str("; if it stands in another crate, write `use that_crate as _;` in the program, so that the linker keeps it")
    }
}

impl Error for UnknownTarget {}

/// Two targets of one name.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateTarget {
    name: &'static str,
    places: [String; 2],
}

impl DuplicateTarget {
    pub(crate) fn new(first: &Registration, second: &Registration) -> Self {
        let mut places = [first, second].map(|target| (target.file, target.line));
        places.sort_unstable();
        DuplicateTarget { name: first.name, places: places.map(|(file, line)| format!("{file}:{line}")) }
    }
}

impl fmt::Display for DuplicateTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DuplicateTarget { name, places: [first, second] } = self;
        write!(
            f,
            "tell two targets named `{name}` apart: one is at {first}, one at {second}; \
             give one another name with `#[worker(name = \"…\")]`"
        )
    }
}

impl Error for DuplicateTarget {}
