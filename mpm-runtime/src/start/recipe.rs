//! How this program starts itself once more, and how the copy knows what it is.
//!
//! The token travels as a command-line argument, `mpm-worker:<descriptor>:<nonce>`: it reaches the one process that it is
//! meant for and nothing that this process starts, since arguments are not inherited; nothing has to be removed from the
//! environment behind other threads' backs. Test binaries take it for one more name filter, which matches nothing.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;

use super::child::Duties;
use crate::error::{Error, Kind, Result, WorkerExit};
use crate::sys::{exit_now, say};

/// The descriptor at which a started process finds its control socket.
const CONTROL_FD: i32 = 3;
/// Room for the names of workers in the command line of their template.
const TITLE: usize = 64;

/// Where in the program a worker begins.
#[derive(Debug)]
pub(crate) enum Recipe {
    /// `main` begins with `mpm::init()`.
    Main,
    /// The test of this name begins with it: the worker is the test binary, asked for exactly this test.
    Test(&'static str),
}

/// What a started process is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does what its hello says.
    Worker,
    /// It forks those that do.
    Template,
}

/// What the command line tells a process that this program started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(super) role: Role,
    pub(super) socket: i32,
    pub(super) nonce: u64,
}

/// The recipe of this process, and what its children do.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(super) recipe: Recipe,
    pub(super) duties: Duties,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Remembers how to start workers; the first recipe of a process stays. Whether this is the first.
pub(crate) fn install_recipe(recipe: Recipe, duties: Duties) -> bool {
    INSTALLED.set(Installed { recipe, duties }).is_ok()
}

/// The recipe of this process.
///
/// # Errors
/// When `mpm::init()` has not run.
pub(crate) fn installed() -> Result<&'static Installed> {
    if INSTALLED.get().is_none() && token_in_arguments().is_some() {
        // This process was started as a worker and is running the program a second time instead: end it here.
        say("mpm: this process was started as a worker, but main() did not call mpm::init() first; it ends");
        exit_now(WorkerExit::TokenSpent.code());
    }
    INSTALLED.get().ok_or_else(|| {
        Error::new(
            Kind::NotInitialised,
            "mpm::init() has not run in this process: put #[mpm::main] on main or `mpm::init();` on its first line (in a test: #[mpm::test] \
             instead of #[test]), so that the program can start itself as its workers",
        )
    })
}

impl Installed {
    pub(crate) fn duties(&self) -> Duties {
        self.duties
    }
}

impl Role {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Worker => "mpm-worker:",
            Self::Template => "mpm-template:",
        }
    }
}

impl Recipe {
    /// The command line of a process called `name`.
    ///
    /// A program that calls `init` in `main` gets the arguments of this process, so that it finds them where it looks for
    /// them, and the token after them.
    pub(crate) fn arguments(&self, role: Role, name: &str, nonce: u64) -> Vec<CString> {
        let token = format!("{}{CONTROL_FD}:{nonce:016x}", role.prefix());
        let mut shown = program();
        shown.extend_from_slice(format!(" [{name}]").as_bytes());
        if role == Role::Template {
            let used = name.len() + 2;
            shown.extend(std::iter::repeat_n(b' ', TITLE.saturating_sub(used)));
        }
        let mut rest: Vec<Vec<u8>> = match self {
            Self::Main => own_arguments(),
            // One test thread: libtest then prints nothing more once the test runs.
            Self::Test(path) => {
                ["--exact", path, "--nocapture", "--include-ignored", "--test-threads=1"].map(|s| s.as_bytes().to_vec()).into()
            }
        };
        rest.push(token.into_bytes());
        [shown].into_iter().chain(rest).map(without_nul).collect()
    }

    /// Whether the program prints to standard output before it comes to `init`.
    pub(crate) fn prints_first(&self) -> bool {
        matches!(self, Self::Test(_))
    }

    /// Whether the main thread waits for the one that has called `init`, and does nothing else: libtest runs even its only
    /// test on a thread of its own, and with one test thread waits for the end of each test in turn.
    pub(crate) fn parks_main(&self) -> bool {
        matches!(self, Self::Test(_))
    }
}

/// The first argument of this process, without the name that `arguments` has added to it.
fn program() -> Vec<u8> {
    let mut program = std::env::args_os().next().unwrap_or_else(|| OsString::from("mpm")).into_vec();
    if token_in_arguments().is_some()
        && let Some(at) = program.windows(2).rposition(|two| two == b" [")
    {
        program.truncate(at);
    }
    program
}

/// The arguments of this process behind the first, without a token.
fn own_arguments() -> Vec<Vec<u8>> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).map(|argument| argument.as_bytes().to_vec()).collect();
    if token_in_arguments().is_some() {
        arguments.pop();
    }
    arguments
}

/// A C string of `bytes` up to the first NUL, of which arguments have none.
fn without_nul(mut bytes: Vec<u8>) -> CString {
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// The token that this process was started with, if it was.
pub(crate) fn token_in_arguments() -> Option<Token> {
    let last = std::env::args_os().skip(1).last()?.into_string().ok()?;
    let (role, rest) =
        [Role::Worker, Role::Template].into_iter().find_map(|role| Some((role, last.strip_prefix(role.prefix())?)))?;
    let (socket, nonce) = rest.split_once(':')?;
    Some(Token { role, socket: socket.parse().ok()?, nonce: u64::from_str_radix(nonce, 16).ok()? })
}
