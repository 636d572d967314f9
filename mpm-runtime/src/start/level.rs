//! How deep this process lies below the program's first one, and how many CPUs it may count on: every process is told by the one
//! that starts it, so that a tree of pools knows its bounds without anybody counting it.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Levels of processes below the program's first one. A tree that is deeper is one that was not meant.
const DEEPEST: u32 = 10;

static LEVEL: Mutex<Level> = Mutex::new(Level { depth: 0, cpus: None });

/// The place of a process in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Level {
    /// 0 for a process that mpm has not started.
    pub(crate) depth: u32,
    /// Its share of the machine; `None` where nobody has divided that yet.
    pub(crate) cpus: Option<u32>,
}

impl Level {
    /// That of a process which this one starts, and which has so many CPUs to itself; `None` for all that this one has.
    pub(super) fn below(self, cpus: Option<u32>) -> Self {
        Self { depth: self.depth.saturating_add(1), cpus: cpus.or(self.cpus) }
    }
}

/// That of this process.
pub(crate) fn level() -> Level {
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a new process: this is where it stands.
pub(super) fn take_level(level: Level) {
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner) = level;
}

/// Refuses to start processes below a process that is as deep as any may be; `what` would have started them.
pub(crate) fn check_depth(what: &str) -> Result<()> {
    let depth = level().depth;
    if depth < DEEPEST {
        return Ok(());
    }
    let text = format!(
        "{what}: this process is {depth} levels of processes below the program's first one, and there are at most {DEEPEST}; does a job start \
         processes whose jobs do the same?"
    );
    Err(Error::new(Kind::TooDeep, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_knows_the_next_one() {
        let first = Level { depth: 0, cpus: None };
        assert_eq!(first.below(None), Level { depth: 1, cpus: None });
        assert_eq!(first.below(Some(3)), Level { depth: 1, cpus: Some(3) });
        assert_eq!(first.below(Some(3)).below(None), Level { depth: 2, cpus: Some(3) });
        assert_eq!(first.below(Some(3)).below(Some(1)), Level { depth: 2, cpus: Some(1) });
    }
}
