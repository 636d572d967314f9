//! What workers write to standard error: passed on line by line, and the last lines kept for the report of a death.
//!
//! One thread of this process reads the pipes of all workers and writes to the real standard error. It may block there as
//! long as it likes: that holds up only workers that write to standard error, never a pool.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys::{Bell, Keys, OwnThread, Pipe, Poller, Private, STDERR, read_available, set_nonblocking, write_all};

/// Lines kept for a report.
const LINES: usize = 20;
/// Bytes kept of one line.
const LINE: usize = 1024;
/// A line longer than this is passed on in parts.
const PARTIAL: usize = 8 * 1024;
/// Bytes read from one worker before the others get their turn.
const TURN: usize = 64 * 1024;
/// The most that is still read from a worker that has died; more means that a process it left behind keeps writing.
const LAST_READ: usize = 1024 * 1024;
/// Bytes kept of workers that are gone, while standard error takes nothing.
const OUTBOX: usize = 1024 * 1024;
/// How long a pool waits at its end for text that standard error does not take.
const FLUSH: Duration = Duration::from_secs(2);

/// The key of the forwarder's own bell among those of the pipes.
const BELL: u64 = 0;

/// The captured standard error of one worker.
#[derive(Debug)]
pub(crate) struct Capture {
    key: u64,
    source: Arc<Source>,
}

#[derive(Debug)]
struct Source {
    pipe: Private,
    text: Mutex<Text>,
}

#[derive(Debug, Default)]
struct Text {
    last: VecDeque<String>,
    /// Bytes since the last line end, not passed on yet.
    open: Vec<u8>,
    ended: bool,
}

struct Forwarder {
    poller: Poller,
    bell: Bell,
    state: Mutex<State>,
    written: Condvar,
}

#[derive(Default)]
struct State {
    sources: HashMap<u64, Arc<Source>>,
    last_key: u64,
    /// Text of workers that are gone.
    outbox: Vec<u8>,
    writing: bool,
    /// How many threads wait until everything is written.
    flushing: usize,
}

/// Makes a pipe for a worker's standard error and watches its other end.
pub(crate) fn capture_stderr() -> io::Result<(Capture, OwnedFd)> {
    let forwarder = forwarder()?;
    let Pipe { read, write } = Pipe::new()?;
    set_nonblocking(&read)?;
    let source = Arc::new(Source { pipe: read.into(), text: Mutex::default() });
    let mut state = forwarder.lock();
    state.last_key += 1;
    let key = state.last_key;
    forwarder.poller.watch(source.pipe.as_fd(), key)?;
    state.sources.insert(key, Arc::clone(&source));
    Ok((Capture { key, source }, write))
}

/// Waits a moment until everything that ended workers wrote has been passed on.
pub(crate) fn flush_stderr(thread: &OwnThread) {
    let awake = thread.awake();
    let forwarder = forwarder();
    drop(awake);
    if let Ok(forwarder) = forwarder {
        let mut state = forwarder.lock();
        state.flushing += 1;
        let busy = |state: &mut State| state.writing || !state.outbox.is_empty();
        let waited = forwarder.written.wait_timeout_while(state, FLUSH, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.flushing -= 1;
    }
}

impl Capture {
    /// Takes what is still in the pipe, stops watching it, and returns the last lines. For a worker that has ended.
    pub(crate) fn finish(&self) -> Vec<String> {
        let mut text = self.source.lock();
        let mut out = Vec::new();
        while out.len() < LAST_READ && self.source.read(&mut text, &mut out) {}
        text.end(&mut out);
        let last = text.last.iter().cloned().collect();
        drop(text);
        self.forget(&out);
        last
    }

    fn forget(&self, rest: &[u8]) {
        if let Ok(forwarder) = forwarder() {
            let mut state = forwarder.lock();
            state.sources.remove(&self.key);
            forwarder.poller.forget(self.source.pipe.as_fd());
            if !rest.is_empty() {
                state.outbox.extend_from_slice(rest);
                // Where standard error takes nothing, the newest is what counts.
                let too_much = state.outbox.len().saturating_sub(OUTBOX);
                state.outbox.drain(..too_much);
                forwarder.bell.ring();
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.forget(&[]);
    }
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads once. Whole lines go to `out`. False when there is nothing more to read now.
    fn read(&self, text: &mut Text, out: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4096];
        match read_available(self.pipe.as_fd(), &mut buffer) {
            None => false,
            Some(0) => {
                text.end(out);
                false
            }
            Some(n) => {
                text.add(buffer.get(..n).unwrap_or_default(), out);
                true
            }
        }
    }
}

impl Text {
    fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.open.extend_from_slice(bytes);
        // A carriage return ends a line too: progress bars use it.
        if let Some(end) = self.open.iter().rposition(|b| matches!(b, b'\n' | b'\r')) {
            let rest = self.open.split_off(end + 1);
            self.pass(out);
            self.open = rest;
        }
        if self.open.len() > PARTIAL {
            self.pass(out);
        }
    }

    /// Passes on and remembers what is open.
    fn pass(&mut self, out: &mut Vec<u8>) {
        for line in self.open.split(|b| matches!(b, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
            if self.last.len() == LINES {
                self.last.pop_front();
            }
            self.last.push_back(String::from_utf8_lossy(line.get(..LINE).unwrap_or(line)).into_owned());
        }
        out.append(&mut self.open);
    }

    /// The pipe has ended: what is open becomes a line.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        if !self.open.is_empty() {
            self.open.push(b'\n');
            self.pass(out);
        }
    }
}

fn forwarder() -> io::Result<Arc<Forwarder>> {
    static FORWARDER: Mutex<Option<(u32, Arc<Forwarder>)>> = Mutex::new(None);
    let mut known = FORWARDER.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    // A copy of the process made by fork(2) does not have the thread.
    if let Some((owner, forwarder)) = &*known
        && *owner == pid
    {
        return Ok(Arc::clone(forwarder));
    }
    let (poller, bell) = (Poller::new()?, Bell::new()?);
    poller.watch(&bell, BELL)?;
    let made = Arc::new(Forwarder { poller, bell, state: Mutex::default(), written: Condvar::new() });
    let thread = Arc::clone(&made);
    // Known to others only once its thread runs: without that, workers would come to a standstill at a full pipe.
    OwnThread::spawn("mpm-stderr", move |own| thread.run(&own))?;
    *known = Some((pid, Arc::clone(&made)));
    Ok(made)
}

impl Forwarder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, thread: &OwnThread) {
        while let Ok(keys) = self.poller.wait(None) {
            let awake = thread.awake();
            let out = self.collect(&keys);
            drop(awake);
            // May last for ever, and holds nothing.
            write_all(STDERR, &out);
            let _awake = thread.awake();
            drop(out);
            let mut state = self.lock();
            state.writing = false;
            if state.flushing > 0 {
                self.written.notify_all();
            }
        }
    }

    /// What there is to write now.
    fn collect(&self, keys: &Keys) -> Vec<u8> {
        if keys.iter().any(|key| key == BELL) {
            self.bell.clear();
        }
        let mut state = self.lock();
        let mut out = std::mem::take(&mut state.outbox);
        state.writing = true;
        let sources: Vec<_> = keys.iter().filter_map(|key| Some((key, Arc::clone(state.sources.get(&key)?)))).collect();
        drop(state);
        for (key, source) in sources {
            let start = out.len();
            let mut text = source.lock();
            while out.len() - start < TURN && source.read(&mut text, &mut out) {}
            if text.ended {
                // A pipe at its end stays readable: stop watching it.
                self.poller.forget(source.pipe.as_fd());
                self.lock().sources.remove(&key);
            }
        }
        out
    }
}
