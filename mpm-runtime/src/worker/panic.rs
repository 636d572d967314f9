//! Where a job panicked: a hook notes location and backtrace, which the caught payload does not carry.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::thread::{self, ThreadId};

use crate::codec::Panic;

/// Bytes kept of a backtrace.
const BACKTRACE: usize = 64 * 1024;

/// Where a panic was, and its backtrace.
type Noted = (String, Option<String>);

thread_local! {
    /// Of the thread that runs the jobs: no lock is needed, which each job would feel.
    static LAST: RefCell<Option<Noted>> = const { RefCell::new(None) };
    /// Something is noted: a look at this costs less than one at that.
    static IS_NOTED: Cell<bool> = const { Cell::new(false) };
    /// The hook notes the panics of this thread.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Notes the panics of the calling thread from now on; the hook that was there before still prints them.
pub(crate) fn note_panics() {
    IS_WATCHED.set(true);
    let (jobs, print) = (thread::current().id(), take_hook());
    let wanted = std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "0");
    set_hook(Box::new(move |info| {
        note(info, jobs, wanted);
        print(info);
    }));
}

/// As [`note_panics`], unless that was done.
pub(super) fn note_panics_once() {
    if !IS_WATCHED.get() {
        note_panics();
    }
}

fn note(info: &PanicHookInfo<'_>, jobs: ThreadId, wanted: bool) {
    if thread::current().id() == jobs {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = wanted.then(|| {
            let mut text = Backtrace::force_capture().to_string();
            text.truncate(text.floor_char_boundary(BACKTRACE));
            text
        });
        LAST.set(Some((location, backtrace)));
        IS_NOTED.set(true);
    }
}

/// Forgets what was noted: a job that unwinds without the hook (`resume_unwind`) shall not get the place of an earlier
/// panic, which was caught.
pub(super) fn forget_panics() {
    if IS_NOTED.replace(false) {
        drop(LAST.take());
    }
}

/// Runs what may panic and catch that; what is noted stays as it was.
pub(super) fn apart<R>(run: impl FnOnce() -> R) -> R {
    let (noted, is_noted) = (LAST.take(), IS_NOTED.get());
    let result = run();
    LAST.set(noted);
    IS_NOTED.set(is_noted);
    result
}

/// The panic whose message is `message`, with what was noted of it.
pub(super) fn last_panic(message: String) -> Panic {
    let noted = LAST.take();
    let (location, backtrace) = noted.map_or((None, None), |(location, backtrace)| (Some(location), backtrace));
    Panic { message, location, backtrace }
}
