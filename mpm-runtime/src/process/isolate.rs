//! Closures that run in a copy of this process.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::running::{Identity, Running};
use crate::codec::NoValue;
use crate::error::{Error, Kind, Phase, Result};
use crate::start::{ChildProcess, Duties, StartMethod, check_depth, fork_to_run, installed, mind, tell_end, tell_phase};

/// Runs a closure in a copy of this process, made by fork(2) now, and returns what it returns.
///
/// The copy has everything that this process has, so nothing is encoded on the way in: what the closure captures or sees is simply
/// there. What it changes, it changes in the copy; only its result comes back. A closure that panics, crashes, exits or leaks does that in the
/// copy.
///
/// ```
/// # mpm::init();
/// let table: Vec<u64> = (0..1_000_000).collect();
/// let sum = mpm::isolate(|| table.iter().sum::<u64>())?;
/// assert_eq!(sum, 499_999_500_000);
/// assert!(mpm::isolate(|| -> u32 { std::process::abort() }).unwrap_err().job().unwrap().is_died());
/// # Ok::<(), mpm::Error>(())
/// ```
///
/// The result travels by serde. For a result of many bytes a type that serde takes as bytes is faster than a `Vec<u8>`, which it takes one by
/// one: a `String`, or `serde_bytes::ByteBuf`.
///
/// The copy has the calling thread only. Its standard input is `/dev/null`, its standard error passes through this process, its signal
/// handlers are the default ones, and it ends with this process. Exit hooks (atexit(3)) do not run in it. Descriptors and sockets of the
/// user's are shared with it, as fork(2) does; those of mpm are not.
///
/// # Errors
/// - This process has other threads: in the copy, the locks that they hold would stay locked for ever. Threads of mpm's own do not
///   count.
/// - [`mpm::init`](crate::init) has not run, or the system has no process, memory or descriptor left.
/// - The closure panicked, the copy died, or the result could not travel: [`Error::job`] has the report.
pub fn isolate<R: Serialize + DeserializeOwned>(run: impl FnOnce() -> R) -> Result<R> {
    isolate_with(run, false)
}

/// As [`isolate`], but forks this process even if it has other threads.
///
/// # Safety
/// Of all threads the copy has only the calling one. What another thread was just changing stays half changed in the copy, and what it had
/// locked stays locked. The closure, and everything that it calls or drops, must neither read the one nor wait for the other. The C library
/// takes care of its allocator and its standard streams; the Rust standard library does not take care of its locks: `stdout`, the
/// environment, the panic hook. What the closure prints to `stdout` without a line end does not appear.
///
/// # Errors
/// As [`isolate`], but for the threads.
#[expect(unsafe_code, reason = "the caller promises what cannot be checked")]
pub unsafe fn isolate_despite_threads<R: Serialize + DeserializeOwned>(run: impl FnOnce() -> R) -> Result<R> {
    isolate_with(run, true)
}

fn isolate_with<R: Serialize + DeserializeOwned>(run: impl FnOnce() -> R, promised: bool) -> Result<R> {
    static LAST: Mutex<u64> = Mutex::new(0);
    check_depth("isolate a closure")?;
    let Duties { guard, .. } = installed()?.duties();
    let number = {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        *last
    };
    let name: Arc<str> = format!("isolate-{number}").into();
    let (child, socket, capture) = fork_to_run(&name, promised, |socket| {
        let (mut run, mut result) = (Some(run), Ok(Vec::new()));
        tell_phase(socket, Phase::Running);
        let ran = guard(&mut || {
            if let Some(run) = run.take() {
                result = postcard::to_stdvec(&run()).map_err(|e| NoValue::BadResult(format!("encode the result: {e}")));
            }
        });
        tell_end(socket, ran.map_err(NoValue::Panicked).and(result))
    })?;
    let pidfd = child.pidfd().try_clone().map_err(|e| Error::new(Kind::System, format!("watch {name}")).because(e))?;
    let identity = Identity { name, target: "closure", method: StartMethod::Fork, daemon: true };
    let running = Arc::new(Running::new(identity, child.pid(), pidfd, socket, Some(capture)));
    let minded = Arc::clone(&running);
    let then = Box::new(move |exit| minded.note_end(exit));
    mind(ChildProcess::Own(child), then).map_err(|e| Error::new(Kind::System, "start the starting thread").because(e))?;
    running.wait(None);
    let bytes = running.outcome(true)?;
    postcard::from_bytes(&bytes).map_err(|e| running.bad_data(format!("decode the result: {e}"), false).into())
}
