//! An object that writes down when it is built and when it is dropped, in a file that the test reads.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;
use std::time::Duration;

use mpm::{Builder, Pool, worker};
use tempfile::TempDir;

/// Settings of a pool whose workers have all the time that they need to drop their objects, also on a busy machine.
pub(crate) fn patient() -> Builder {
    Pool::builder().grace(Duration::from_secs(60))
}

/// Appends a line, with the writer's number behind it. One small write to a file opened for appending is one line, whoever writes beside.
pub(crate) fn note(file: &Path, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{line} {}\n", process::id()).as_bytes()).unwrap();
}

/// What was written down in a folder of its own.
pub(crate) struct Diary {
    folder: TempDir,
}

impl Diary {
    pub(crate) fn new() -> Self {
        Diary { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("diary")
    }

    /// A path in the folder that nothing else uses.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines, each with the process that wrote it.
    pub(crate) fn lines(&self) -> Vec<(String, u32)> {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        let split = |line: &str| line.rsplit_once(' ').map(|(line, pid)| (line.to_owned(), pid.parse().unwrap())).unwrap();
        text.lines().map(split).collect()
    }

    /// The lines without the processes.
    pub(crate) fn words(&self) -> Vec<String> {
        self.lines().into_iter().map(|(line, _)| line).collect()
    }

    /// How often this was written.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.words().iter().filter(|other| *other == line).count()
    }
}

/// Not `Send`, and its drop is seen.
pub(crate) struct Witness {
    diary: PathBuf,
    name: Rc<str>,
    calls: u32,
}

#[worker]
impl Witness {
    /// Is built in the worker.
    pub(crate) fn new(diary: &Path, name: &str) -> Self {
        note(diary, &format!("built {name}"));
        Witness { diary: diary.to_owned(), name: name.into(), calls: 0 }
    }

    /// Which process it is in, and how often it was called.
    pub(crate) fn call(&mut self) -> (u32, u32) {
        self.calls += 1;
        (process::id(), self.calls)
    }

    /// The same without a change.
    pub(crate) fn look(&self) -> (u32, u32) {
        (process::id(), self.calls)
    }

    /// What it was built with, and what it is told.
    pub(crate) fn say(&self, text: &str) -> String {
        format!("{}: {text}", self.name)
    }

    /// Panics.
    pub(crate) fn fail(&mut self, text: &str) {
        self.calls += 100;
        panic!("{text}");
    }

    /// Ends its process.
    pub(crate) fn exit(&self, code: i32) {
        process::exit(code);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        note(&self.diary, &format!("dropped {}", self.name));
    }
}
