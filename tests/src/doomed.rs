//! A parent process that a test can kill: this test binary once more, asked for the calling test.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::process::{die_with_parent, kill};
use crate::wait::wait_until;

/// Names the folder in which both sides meet; set in the doomed process and, as inherited, in its workers.
const VARIABLE: &str = "MPM_DOOMED";

/// The file that the doomed process writes once it has come as far as it shall.
const READY: &str = "ready";

/// The watching side of a process that will be ended.
#[derive(Debug)]
pub struct Doomed {
    child: Child,
    folder: PathBuf,
}

/// In the test's own process: starts the doomed one and returns it. In the doomed one: calls `body` with the folder in
/// which both meet, and leaves with exit status 0 when it returns.
///
/// `test` is the path of the calling test. What the doomed process and its workers print goes to `output` in the folder.
///
/// # Panics
/// If the process cannot be started.
pub fn doomed(test: &str, folder: &Path, body: impl FnOnce(&Path)) -> Doomed {
    if let Some(folder) = env::var_os(VARIABLE) {
        body(Path::new(&folder));
        std::process::exit(0);
    }
    let output = File::create(folder.join("output")).expect("a file for the output");
    let mut command = Command::new(env::current_exe().expect("the path of this test binary"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("one more descriptor of the output"))
        .stderr(output);
    let child = die_with_parent(&mut command).spawn().expect("this test binary once more");
    Doomed { child, folder: folder.to_owned() }
}

/// The doomed side: says `text` to the test.
///
/// # Panics
/// If the folder is gone.
pub fn report(folder: &Path, text: &str) {
    // Renamed, so that the test never reads half of it.
    let unfinished = folder.join("unfinished");
    fs::write(&unfinished, text).expect("a file for the report");
    fs::rename(unfinished, folder.join(READY)).expect("the report in its place");
}

impl Doomed {
    /// Waits for the doomed side's report.
    ///
    /// # Panics
    /// If the process ends before, or if that takes too long; with its output.
    #[track_caller]
    pub fn wait_report(&mut self) -> String {
        let ready = self.folder.join(READY);
        let mut ended = None;
        wait_until("the doomed process has reported", || {
            ended = self.child.try_wait().expect("the state of a child");
            ready.exists() || ended.is_some()
        });
        assert!(ready.exists(), "it ended without a report, {ended:?}:\n{}", self.output());
        fs::read_to_string(ready).expect("the report")
    }

    /// The process id of the doomed process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn kill(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the doomed process has ended", || {
            status = self.child.try_wait().expect("the state of a child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// What it and its workers have printed.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        // Already ended in a test that passes; then both fail.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
