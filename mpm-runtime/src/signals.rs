//! Signals that end pools in stages: the first one finishes, the second hurries, the third kills.
//!
//! mpm takes no signal by itself. A program that wants Ctrl-C to mean something to a pool says so:
//!
//! ```
//! use mpm::{Pool, signals, worker};
//!
//! #[worker]
//! fn double(n: u64) -> u64 {
//!     2 * n
//! }
//!
//! #[mpm::main]
//! fn main() -> mpm::Result<()> {
//!     let pool = Pool::builder().workers(2).build()?;
//!     let _ctrl_c = signals::shutdown_on_ctrl_c(&pool)?;
//!     for value in pool.map::<double>(1..=10) {
//!         println!("{}", value?); // after a second Ctrl-C: an error, and the program ends
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | signal | jobs that wait | jobs that run | as |
//! |---|---|---|---|
//! | the first | run | run | [`Pool::join`] |
//! | the second | end as `Cancelled` | may go on for the pool's [grace](crate::Builder::grace) | [`Pool::shutdown`] |
//! | the third | | are killed | [`Pool::kill`] |
//!
//! From the first one on the pool takes no more jobs. Nobody waits for its end here: whoever waits for a job, or submits one, goes on
//! with an outcome or an error, and the program ends as it always does. A signal that comes when all pools that it is to end have ended
//! does what it did before: so a program that does not come to its end can still be interrupted.
//!
//! Why not a crate for signals: what such crates install stays for ever, so nothing could be given back at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::pool::{Ender, Pool};
use crate::sys::{self, Caught, OwnThread, Poller, Private, catch, caught_signals, read_available, send_to_self, signal_name};

/// Ctrl-C at a terminal.
pub const SIGINT: i32 = sys::SIGINT;
/// The polite request to end, as service managers send it.
pub const SIGTERM: i32 = sys::SIGTERM;

/// Which signals end which pools.
#[derive(Debug)]
struct Watch {
    /// The process that catches them, once there is one: a copy of it does not.
    process: Option<u32>,
    last: u64,
    all: Vec<Entry>,
    caught: BTreeMap<i32, Caught>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    signals: Vec<i32>,
    pool: Ender,
    /// How many of them have come.
    times: u32,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { process: None, last: 0, all: Vec::new(), caught: BTreeMap::new() });

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Signals end a pool as long as this lives. Dropped, it gives them back: what was done with them before is done again, unless another
/// pool is to end by them.
#[derive(Debug)]
#[must_use = "dropped, it lets the signals do again what they did before"]
pub struct Guard {
    number: u64,
    /// A copy of it has nothing to give back.
    process: u32,
}

/// Has Ctrl-C (SIGINT) end a pool in [stages](self). Several pools end together; each counts for itself.
///
/// The pool is not kept by this, and may be dropped before the guard.
///
/// # Errors
/// When the system has no thread or descriptor left; in a process that was forked from one that has done this.
pub fn shutdown_on_ctrl_c(pool: &Pool) -> Result<Guard> {
    shutdown_on(&[SIGINT], pool)
}

/// As [`shutdown_on_ctrl_c`], on each of these signals, which count together: SIGTERM after SIGINT is the second one.
///
/// ```
/// # #[mpm::main]
/// # fn main() -> mpm::Result<()> {
/// use mpm::signals::{self, SIGINT, SIGTERM};
///
/// let pool = mpm::Pool::builder().workers(1).build()?;
/// let _guard = signals::shutdown_on(&[SIGINT, SIGTERM], &pool)?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`shutdown_on_ctrl_c`], and when one of them cannot be caught, such as SIGKILL.
pub fn shutdown_on(signals: &[i32], pool: &Pool) -> Result<Guard> {
    let system = |e| Error::new(Kind::System, "catch signals").because(e);
    let mut watch = watch();
    let process = std::process::id();
    if watch.process != Some(process) {
        let pipe = caught_signals().map_err(system)?;
        let poller = Poller::new().map_err(system)?;
        poller.watch(&pipe, 0).map_err(system)?;
        OwnThread::spawn("mpm-signals", move |own| heed(&own, &poller, &pipe)).map_err(system)?;
        watch.process = Some(process);
    }
    let number = watch.last + 1;
    for signal in signals {
        if !watch.caught.contains_key(signal) {
            let what = || format!("signals::shutdown_on: {} ({signal}) cannot be caught", signal_name(*signal));
            let caught = catch(*signal).map_err(|e| Error::new(Kind::Setting, what()).because(e));
            let caught = caught.inspect_err(|_| watch.let_go())?;
            watch.caught.insert(*signal, caught);
        }
    }
    watch.last = number;
    watch.all.push(Entry { number, signals: signals.to_vec(), pool: pool.ender(), times: 0 });
    Ok(Guard { number, process })
}

impl Watch {
    /// Gives back the signals by which no pool is to end.
    fn let_go(&mut self) {
        let all = &self.all;
        self.caught.retain(|signal, _| all.iter().any(|entry| entry.signals.contains(signal)));
    }

    /// A signal has come: the pools that it is for, and how often it has come for each.
    fn count(&mut self, signal: i32) -> Vec<(Ender, u32)> {
        let entries = self.all.iter_mut().filter(|entry| entry.signals.contains(&signal));
        let count = |entry: &mut Entry| {
            entry.times += 1;
            (entry.pool.clone(), entry.times)
        };
        entries.map(count).collect()
    }

    /// A signal was of no use to any pool that it was for. One that came meanwhile has it still.
    fn give_back(&mut self, signal: i32) {
        let is_new = |entry: &Entry| entry.times == 0 && entry.signals.contains(&signal);
        if !self.all.iter().any(is_new) && self.caught.remove(&signal).is_some() {
            send_to_self(signal);
        }
    }
}

/// A signal has come. The end of a job may drop code of the user's, which may have a guard.
fn end_pools(signal: i32) {
    let pools = watch().count(signal);
    let of_use = pools.into_iter().filter(|(pool, times)| pool.end(*times)).count();
    if of_use == 0 {
        watch().give_back(signal);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let mut watch = watch();
            watch.all.retain(|entry| entry.number != self.number);
            watch.let_go();
        }
    }
}

/// Takes the signals out of the pipe, one after the other, as long as the process lives.
fn heed(thread: &OwnThread, poller: &Poller, pipe: &Private) {
    while poller.wait(None).is_ok() {
        let awake = thread.awake();
        let mut numbers = [0; 16];
        let count = read_available(pipe, &mut numbers).unwrap_or(0);
        drop(thread.lend(awake, || numbers.iter().take(count).for_each(|number| end_pools(i32::from(*number)))));
    }
}
