//! How this program starts itself once more as a worker, and how the copy knows that it is one.
//!
//! The token travels as a command-line argument, `mpm-worker:<descriptor>:<nonce>`: it reaches the one process that it is
//! meant for and nothing that this process starts, since arguments are not inherited; nothing has to be removed from the
//! environment behind other threads' backs. Test binaries take it for one more name filter, which matches nothing.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use crate::error::{Error, Kind, Result, WorkerExit};
use crate::sys::{exit_now, say};

const PREFIX: &str = "mpm-worker:";
/// The descriptor at which a started worker finds its control socket.
const CONTROL_FD: i32 = 3;

/// Where in the program a worker begins.
#[derive(Debug)]
pub(crate) enum Recipe {
    /// `main` begins with `mpm::init()`.
    Main,
    /// The test of this name begins with it: the worker is the test binary, asked for exactly this test.
    Test(&'static str),
}

static RECIPE: OnceLock<Recipe> = OnceLock::new();

/// Remembers how to start workers; the first recipe of a process stays. Whether this is the first.
pub(crate) fn install_recipe(recipe: Recipe) -> bool {
    RECIPE.set(recipe).is_ok()
}

/// The recipe of this process.
///
/// # Errors
/// When `mpm::init()` has not run.
pub(crate) fn recipe() -> Result<&'static Recipe> {
    if RECIPE.get().is_none() && token_in_arguments().is_some() {
        // This process was started as a worker and is running the program a second time instead: end it here.
        say("mpm: this process was started as a worker, but main() did not call mpm::init() first; it ends");
        exit_now(WorkerExit::TokenSpent.code());
    }
    RECIPE.get().ok_or_else(|| {
        Error::new(
            Kind::NotInitialised,
            "mpm::init() has not run in this process: put #[mpm::main] on main or `mpm::init();` on its first line (in a test: #[mpm::test] \
             instead of #[test]), so that the program can start itself as its workers",
        )
    })
}

impl Recipe {
    /// The command line of a worker called `name`.
    pub(crate) fn arguments(&self, name: &str, nonce: u64) -> Vec<CString> {
        let program = std::env::args_os().next().unwrap_or_else(|| OsString::from("mpm"));
        let mut shown = program.into_vec();
        shown.extend_from_slice(format!(" [{name}]").as_bytes());
        let token = format!("{PREFIX}{CONTROL_FD}:{nonce:016x}");
        let rest: Vec<&str> = match self {
            Self::Main => vec![&token],
            // One test thread: libtest then prints nothing more once the test runs.
            Self::Test(path) => vec!["--exact", path, "--nocapture", "--include-ignored", "--test-threads=1", &token],
        };
        [shown].into_iter().chain(rest.into_iter().map(|s| s.as_bytes().to_vec())).map(without_nul).collect()
    }

    /// Whether the program prints to standard output before it comes to `init`.
    pub(crate) fn prints_first(&self) -> bool {
        matches!(self, Self::Test(_))
    }
}

/// A C string of `bytes` up to the first NUL, of which arguments have none.
fn without_nul(mut bytes: Vec<u8>) -> CString {
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// The token that this process was started with, if it was: the control socket's descriptor and the nonce.
pub(crate) fn token_in_arguments() -> Option<(i32, u64)> {
    let last = std::env::args_os().skip(1).last()?.into_string().ok()?;
    let (fd, nonce) = last.strip_prefix(PREFIX)?.split_once(':')?;
    Some((fd.parse().ok()?, u64::from_str_radix(nonce, 16).ok()?))
}
