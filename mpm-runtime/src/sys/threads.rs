//! Threads: mpm's own, who else there is, and the proof that a copy of this process would find no lock held.
//!
//! A copy made by fork(2) has the calling thread alone. A lock that another thread holds at that moment is held for ever
//! there, whatever it guards. So a copy is made only where there is no other thread, or where all others are mpm's own
//! and asleep: they hold [`Awake`] whenever they are not, and [`alone`] waits for that. Without it such a thread sleeps, and neither
//! locks nor allocates.

use std::fs;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getpid, gettid};

use super::signal::block_all_signals;

/// Held for reading by mpm's threads while they are awake, for writing while this process is copied.
static AWAKE: RwLock<()> = RwLock::new(());

/// mpm's own threads, but for those that just now run code of the user's.
static OURS: Mutex<Ours> = Mutex::new(Ours { threads: Vec::new(), away: Vec::new(), awaited: 0 });
/// Such a thread has come back.
static BACK: Condvar = Condvar::new();

/// How long a thread of mpm's may stay in code of the user's until it counts as one of the user's.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a thread of the user's may take to end: one of a scope can still be at it when the scope is over.
const MOMENT: Duration = Duration::from_millis(20);
/// How many such threads are remembered; most have ended.
const MOST_AWAY: usize = 64;
/// When to look again for a thread of mpm's that is ending, of which nobody tells.
const AGAIN: Duration = Duration::from_millis(1);
/// The bit of a thread's flags that says that it will never run the program's code again (proc_pid_stat(5), `PF_EXITING`).
const EXITING: u64 = 4;

/// How many threads of mpm's are being started and cannot be told from others yet.
static NEWBORN: Mutex<usize> = Mutex::new(0);

#[derive(Debug)]
struct Ours {
    threads: Vec<Pid>,
    /// Those that run code of the user's, or are ending.
    away: Vec<Pid>,
    /// How many threads wait for one to come back.
    awaited: usize,
}

/// A thread of mpm's that is being started.
struct Newborn(());

/// The calling thread is one of mpm's own, for as long as this lives.
#[derive(Debug)]
pub(crate) struct OwnThread(Pid);

/// One of mpm's threads is doing something; no copy of this process is made meanwhile.
#[derive(Debug)]
pub(crate) struct Awake(#[expect(dead_code, reason = "held, not looked at")] RwLockReadGuard<'static, ()>);

/// Nobody else in this process can hold a lock, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Alone(RwLockWriteGuard<'static, ()>);

/// What is held while this process is copied.
#[derive(Debug)]
pub(super) struct Held {
    _awake: RwLockWriteGuard<'static, ()>,
    ours: MutexGuard<'static, Ours>,
    newborn: MutexGuard<'static, usize>,
}

impl OwnThread {
    /// Starts a thread of mpm's. It blocks all signals, so that the program's handlers run on the program's own threads.
    pub(crate) fn spawn(name: &str, body: impl FnOnce(Self) + Send + 'static) -> io::Result<JoinHandle<()>> {
        let newborn = Newborn::announce();
        let run = move || {
            block_all_signals();
            let own = Self(gettid());
            let awake = own.awake();
            register(own.0, true);
            drop(newborn);
            drop(awake);
            body(own);
        };
        thread::Builder::new().name(name.to_owned()).spawn(run)
    }

    /// To be held whenever this thread is not asleep and does not run code of the user's.
    #[expect(clippy::unused_self, reason = "only a thread of mpm's has one to call it on")]
    pub(crate) fn awake(&self) -> Awake {
        Awake(AWAKE.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs what may call code of the user's, which may do anything: meanwhile it is not one of mpm's.
    pub(crate) fn lend(&self, awake: Awake, run: impl FnOnce()) -> Awake {
        register(self.0, false);
        drop(awake);
        run();
        let awake = self.awake();
        register(self.0, true);
        awake
    }
}

impl Newborn {
    fn announce() -> Self {
        *NEWBORN.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        *NEWBORN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        let _awake = self.awake();
        register(self.0, false);
    }
}

fn register(me: Pid, ours: bool) {
    let mut known = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    known.threads.retain(|thread| *thread != me);
    known.away.retain(|thread| *thread != me);
    if !ours {
        if known.away.len() == MOST_AWAY {
            known.away.remove(0);
        }
        known.away.push(me);
    }
    if ours {
        known.threads.push(me);
        if known.awaited > 0 {
            BACK.notify_all();
        }
    }
}

/// Waits until mpm's own threads sleep, and keeps them from waking.
///
/// `parked_main` says that the main thread waits for the calling one and does nothing else, as that of a test program does.
///
/// # Errors
/// When there are other threads, with their number and names; or when the system does not tell.
pub(crate) fn alone(parked_main: bool) -> io::Result<Alone> {
    let began = Instant::now();
    loop {
        let alone = Alone::promised();
        // Asked before the look: one that does not count here any more is known there.
        let newborn = *NEWBORN.lock().unwrap_or_else(PoisonError::into_inner) > 0;
        let Strangers { names: mut strangers, only_away } = strangers(parked_main)?;
        if strangers.is_empty() {
            return Ok(alone);
        }
        drop(alone);
        if began.elapsed() < if newborn || only_away { PATIENCE } else { MOMENT } {
            let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
            ours.awaited += 1;
            BACK.wait_timeout(ours, AGAIN).unwrap_or_else(PoisonError::into_inner).0.awaited -= 1;
            continue;
        }
        let (count, s) = (strangers.len(), if strangers.len() == 1 { "" } else { "s" });
        strangers.sort_unstable();
        strangers.dedup();
        strangers.truncate(5);
        return Err(io::Error::other(format!("this process has {count} other thread{s} ({})", strangers.join(", "))));
    }
}

impl Alone {
    /// Waits only for mpm's own threads: that others hold no lock is taken for granted.
    pub(crate) fn promised() -> Self {
        Self(AWAKE.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the locks of this file as well, which mpm's threads also take while they are not awake: a copy will need them.
    pub(super) fn hold(self) -> Held {
        let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
        Held { _awake: self.0, ours, newborn: NEWBORN.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Held {
    /// In the copy: mpm's threads are not there, and that they were is forgotten.
    pub(super) fn in_copy(mut self) {
        *self.ours = Ours { threads: Vec::new(), away: Vec::new(), awaited: 0 };
        *self.newborn = 0;
    }
}

/// The threads that stand in the way of a copy.
struct Strangers {
    names: Vec<String>,
    /// All of them are mpm's, and will be back or gone.
    only_away: bool,
}

/// All threads but the calling one, mpm's own, and those that are ending.
fn strangers(parked_main: bool) -> io::Result<Strangers> {
    let (me, main) = (gettid(), getpid());
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_stranger = |thread: Pid| thread != me && !(parked_main && thread == main) && !ours.threads.contains(&thread);
    let cannot =
        |e: io::Error| io::Error::new(e.kind(), format!("whether there are other threads cannot be told: /proc/self/task: {e}"));
    let (mut names, mut only_away, mut seen) = (Vec::new(), true, Vec::new());
    for entry in fs::read_dir("/proc/self/task").map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else { continue };
        if !is_stranger(thread) {
            continue;
        }
        // One that is gone meanwhile has no file any more.
        if let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Some((name, flags)) = name_and_flags(&stat)
            && flags & EXITING == 0
        {
            names.push(name.to_owned());
            only_away &= ours.away.contains(&thread);
            seen.push(thread);
        }
    }
    // One that has ended is forgotten: its number may be another's.
    ours.away.retain(|thread| seen.contains(thread));
    Ok(Strangers { names, only_away })
}

/// From the text `number (name) state ppid pgrp session tty tpgid flags …`. The name may hold anything.
fn name_and_flags(stat: &str) -> Option<(&str, u64)> {
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some((name, rest.split_ascii_whitespace().nth(6)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_found_behind_any_name() {
        let stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194624 100 0 0 0 0 0 0 0 20";
        assert_eq!(name_and_flags(stat), Some(("a) b (c", 4_194_624)));
        assert_eq!(name_and_flags("garbage"), None);
    }
}
