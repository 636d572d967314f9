//! Which file this program was started from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;

/// A number that is the same for every process started from this very executable file; a new build is another file, since
/// the system lets nobody write to a running one. `/proc/self/exe` names the running file even after it was replaced or deleted on disk (proc(5)).
pub(crate) fn executable_identity() -> io::Result<u64> {
    let meta = std::fs::metadata("/proc/self/exe")?;
    let mut hasher = DefaultHasher::new();
    (meta.dev(), meta.ino(), meta.size()).hash(&mut hasher);
    Ok(hasher.finish())
}
