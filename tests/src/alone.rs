//! A process of its own for one test. `cargo test` runs the tests of a binary side by side in one process, where the
//! descriptors, threads and children of one test cannot be told from those of its neighbours.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::die_with_parent;
use crate::wait::holds_within;
use crate::watchdog::{describe, watchdog};

/// Names the test that this process was started for.
const VARIABLE: &str = "MPM_ALONE";

/// Later than the watchdog inside the child, which has more to tell.
const LIMIT: Duration = Duration::from_secs(150);

/// How a process that ran one test ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard output and standard error, in the order in which they were written.
    pub(crate) output: String,
    /// It had to be killed.
    pub(crate) hung: bool,
}

/// Runs `body` as the only test of a new process: this test binary, asked for exactly this test.
///
/// `test` is the path of the calling test as `cargo test` prints it, such as `pool::a_worker_dies`. In the new process the
/// same test calls `alone` again, and that call runs the body, under a [`watchdog`]. The new process dies with this one.
///
/// # Panics
/// If the body fails, hangs, or is never run because `test` is not the path of the calling test; with the output of the
/// new process.
pub fn alone(test: &str, body: impl FnOnce()) {
    alone_with_one_thread(test, || {
        let _guard = watchdog();
        body();
    });
}

/// As [`alone`], but the new process has no thread besides the test's and the parked main one: for a body that forks. Its
/// watchdog is the calling process, which ends it after 150 seconds and tells where it hangs.
///
/// # Panics
/// As [`alone`].
pub fn alone_with_one_thread(test: &str, body: impl FnOnce()) {
    if is_alone(test) {
        return body();
    }
    let Ended { status, output, hung } = run_again(test, LIMIT);
    assert!(!hung, "`{test}` alone did not end within {LIMIT:?} and was killed:\n{output}");
    assert!(status.success(), "`{test}` alone failed with {status}:\n{output}");
    assert!(output.contains("1 passed"), "`{test}` is not the path of a test of this binary:\n{output}");
}

/// Whether this process was started for `test`.
pub(crate) fn is_alone(test: &str) -> bool {
    env::var_os(VARIABLE).is_some_and(|path| path == test)
}

/// Runs one test of this binary in a process of its own, for `limit` at most.
pub(crate) fn run_again(test: &str, limit: Duration) -> Ended {
    // A file takes the output, since a pipe would stay open as long as any process that the test left behind.
    let mut file = unnamed_file().expect("a temporary file for the output of a test");
    let share = || Stdio::from(file.try_clone().expect("one more descriptor of the output"));
    let mut command = Command::new(env::current_exe().expect("the path of this test binary"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, test)
        .stdin(Stdio::null())
        .stdout(share())
        .stderr(share());
    let mut child = die_with_parent(&mut command).spawn().expect("this test binary once more");
    let mut status = None;
    let hung = !holds_within(limit, || {
        status = child.try_wait().expect("the state of a child");
        status.is_some()
    });
    let mut picture = String::new();
    if hung {
        describe(child.id(), 0, &mut picture);
        child.kill().expect("an end to a child that hangs");
    }
    let status = status.unwrap_or_else(|| child.wait().expect("the end of a killed child"));
    let output = read_from_start(&mut file).expect("the output of a test") + &picture;
    Ended { status, output, hung }
}

/// A file in the temporary folder that is gone with its last descriptor.
fn unnamed_file() -> io::Result<File> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("mpm-alone-{}-{number}", process::id()));
    let file = File::options().read(true).append(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn read_from_start(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::panic::catch_unwind;
    use std::thread;

    /// What a failing call of `alone` says.
    fn complaint(test: &'static str, body: fn()) -> String {
        let payload = catch_unwind(|| alone(test, body)).expect_err("it must fail");
        payload.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn the_body_runs_in_another_process() {
        let path = "alone::tests::the_body_runs_in_another_process";
        let mut ran = false;
        alone(path, || ran = true);
        assert_eq!(ran, is_alone(path));
    }

    #[test]
    fn a_body_that_fails_is_told() {
        let path = "alone::tests::a_body_that_fails_is_told";
        if is_alone(path) {
            return alone(path, || panic!("the reason"));
        }
        let told = complaint(path, || {});
        assert!(told.contains("alone failed") && told.contains("the reason"), "{told}");
    }

    #[test]
    fn a_wrong_path_is_no_success() {
        let told = complaint("alone::tests::no_such_test", || {});
        assert!(told.contains("is not the path"), "{told}");
    }

    #[test]
    fn a_body_that_hangs_is_killed() {
        let path = "alone::tests::a_body_that_hangs_is_killed";
        if is_alone(path) {
            loop {
                thread::park();
            }
        }
        let ended = run_again(path, Duration::from_millis(500));
        assert!(ended.hung, "{}", ended.output);
        assert_eq!(ended.status.signal(), Some(libc::SIGKILL), "{}", ended.output);
    }
}
