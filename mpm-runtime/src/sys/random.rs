//! Numbers that nobody can foresee, for names and delays; not for secrets.

use std::hash::{BuildHasher, RandomState};

/// Another number each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
