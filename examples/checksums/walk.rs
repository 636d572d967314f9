//! Finds the regular files below a folder, lazily and in the order of their paths' bytes.
//!
//! Only the folders between the top and the current file are held in memory, each as its sorted names.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::vec;

/// A regular file's path, or what could not be looked at and why.
pub(crate) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// The iterator over what is found.
pub(crate) struct Walk {
    /// What was found and not handed out yet, the next one last.
    found: Vec<Found>,
    /// The folders that are being read, the innermost last.
    open: Vec<Folder>,
}

struct Folder {
    path: PathBuf,
    /// In order. A folder's name ends with a slash, as it does in the paths below it: so `a-b` stands before `a/`, just as
    /// the path `a-b` stands before `a/x`. Sorted by bare names, it would stand behind.
    names: vec::IntoIter<Vec<u8>>,
}

impl Walk {
    /// Everything below `top`; `top` itself, if it is a file.
    pub(crate) fn below(top: &Path) -> Self {
        let mut walk = Self { found: Vec::new(), open: Vec::new() };
        match fs::symlink_metadata(top).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_dir() => walk.enter(top.to_owned()),
            Ok(kind) if kind.is_file() => walk.found.push(Ok(top.to_owned())),
            Ok(kind) => walk.found.push(Err((top.to_owned(), refused(kind)))),
            Err(error) => walk.found.push(Err((top.to_owned(), error))),
        }
        walk
    }

    fn enter(&mut self, path: PathBuf) {
        match fs::read_dir(&path) {
            Ok(entries) => {
                let mut names = Vec::new();
                for entry in entries {
                    match entry.and_then(|entry| Ok((entry.file_type()?, entry.file_name().into_vec()))) {
                        Ok((kind, mut name)) if kind.is_dir() => {
                            name.push(b'/');
                            names.push(name);
                        }
                        Ok((kind, name)) if kind.is_file() => names.push(name),
                        // A link, a pipe, a socket, a device: nothing to hash.
                        Ok(_) => {}
                        Err(error) => self.found.push(Err((path.clone(), error))),
                    }
                }
                names.sort_unstable();
                self.open.push(Folder { path, names: names.into_iter() });
            }
            Err(error) => self.found.push(Err((path, error))),
        }
    }
}

/// The user asked for it by name, so silence would be no answer.
fn refused(kind: FileType) -> io::Error {
    io::Error::other(if kind.is_symlink() {
        "it is a symbolic link, and links are not followed; with a slash behind it, it means the folder"
    } else {
        "it is neither a regular file nor a folder"
    })
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.found.pop() {
                return Some(found);
            }
            let folder = self.open.last_mut()?;
            match folder.names.next() {
                None => drop(self.open.pop()),
                Some(name) => match name.strip_suffix(b"/") {
                    Some(name) => {
                        let inner = folder.path.join(OsStr::from_bytes(name));
                        self.enter(inner);
                    }
                    None => return Some(Ok(folder.path.join(OsStr::from_bytes(&name)))),
                },
            }
        }
    }
}
