//! A gate that jobs wait at: the test knows when they have arrived, and decides when they go on.
//!
//! The gate is a lock on a file, so that any number of processes can wait at it without a race, and so that it opens by
//! itself when the test's process ends.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::wait::wait_until;

/// The test's side.
#[derive(Debug)]
pub struct Gate {
    file: File,
    path: PathBuf,
}

impl Gate {
    /// Makes a closed gate in `folder`.
    ///
    /// # Panics
    /// If the file cannot be made or locked.
    pub fn new(folder: &Path, name: &str) -> Gate {
        let path = folder.join(name);
        let file = File::create_new(&path).expect("a file for the gate");
        file.lock().expect("a lock on a new file");
        Gate { file, path }
    }

    /// What jobs are told, for [`wait_at`].
    ///
    /// # Panics
    /// If the folder's name is not UTF-8.
    pub fn path(&self) -> String {
        self.path.to_str().expect("a name in UTF-8").to_owned()
    }

    /// How many have come to the gate so far.
    pub fn arrived(&self) -> u64 {
        fs::metadata(arrivals(&self.path)).map_or(0, |file| file.len())
    }

    /// Waits until `n` have come to the gate.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn wait_for(&self, n: u64) {
        wait_until("the jobs have come to the gate", || self.arrived() >= n);
    }

    /// Lets everybody through, from now on.
    ///
    /// # Panics
    /// If the lock cannot be given up.
    pub fn open(&self) {
        self.file.unlock().expect("an end of the own lock");
    }
}

/// The job's side: says that it is there, and waits until the gate at `path` opens.
///
/// # Panics
/// If the gate is gone.
pub fn wait_at(path: &str) {
    let file = File::open(path).expect("the file of the gate");
    arrive_at(path);
    file.lock_shared().expect("the gate to open");
}

/// As [`wait_at`], but goes on at once.
///
/// # Panics
/// If it cannot say that it is there.
pub fn arrive_at(path: &str) {
    let arrivals = OpenOptions::new().append(true).create(true).open(arrivals(Path::new(path)));
    arrivals.and_then(|mut arrivals| arrivals.write_all(b"x")).expect("one more arrival");
}

fn arrivals(path: &Path) -> PathBuf {
    path.with_added_extension("arrived")
}
