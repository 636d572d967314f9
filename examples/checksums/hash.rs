//! The worker's side: a path comes in, the file's checksum goes out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mpm::{Failure, worker};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Large enough that reading costs few system calls, small enough for the stack.
const BUFFER: usize = 64 * 1024;

// ANCHOR: hash_file
/// A file's checksum, and how many bytes went into it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) digest: [u8; 32],
    pub(crate) bytes: u64,
}

/// Hashes one file. An error that it meets is an ordinary value: the caller gets it as the job's result.
#[worker]
pub(crate) fn hash_file(path: PathBuf) -> Result<Sum, Failure> {
    let mut file = open_regular(&path)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = [0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Sum { digest: hasher.finalize().into(), bytes }),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
// ANCHOR_END: hash_file

/// Opens what was a regular file when it was found. Should it have become a link or a pipe since, it is neither followed
/// nor waited for.
fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file any more")) }
}
