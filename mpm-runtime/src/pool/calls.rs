//! A thread of a pool's that makes one call after the other, in the order in which they were put there.
//!
//! | the thread | is entered | is left |
//! |---|---|---|
//! | not there | at first | there is something to call, or soon will be: runs |
//! | runs | | nothing more comes, and all is called: over |
//! | over | also where it never ran | never |
//!
//! Whoever puts a call there holds the pool's lock, which makes the order; the lock here is the inner one, and nothing else is done
//! under it. The supervisor closes the queue when it ends: nothing can happen in the pool after that.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle as Thread, ThreadId};

use crate::link::sync::{AtomicU32, Ordering};
use crate::sys::{OwnThread, futex_wait_own, futex_wake_own};

/// Calls to be made.
#[derive(Debug)]
pub(super) struct Calls<C> {
    queue: Mutex<Queue<C>>,
    /// Changes whenever the thread is to wake; it sleeps on it.
    word: AtomicU32,
    over: Condvar,
}

#[derive(Debug)]
struct Queue<C> {
    calls: VecDeque<C>,
    thread: Option<Thread<()>>,
    id: Option<ThreadId>,
    /// The thread has found nothing to call, and sleeps or is about to.
    is_asleep: bool,
    /// Nothing more comes.
    is_closed: bool,
    /// All has been called.
    is_over: bool,
}

impl<C> Default for Calls<C> {
    fn default() -> Self {
        let (calls, thread, id) = (VecDeque::new(), None, None);
        let queue = Mutex::new(Queue { calls, thread, id, is_asleep: false, is_closed: false, is_over: false });
        Self { queue, word: AtomicU32::new(0), over: Condvar::new() }
    }
}

impl<C: Send + 'static> Calls<C> {
    fn lock(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the thread is there, if it is to come at all. It makes the calls by what `caller` gives it, which it drops
    /// when all is called: the user may wait for that.
    pub(super) fn start<M: FnMut(C)>(
        self: &Arc<Self>,
        name: &'static str,
        caller: impl FnOnce() -> M + Send + 'static,
    ) -> io::Result<()> {
        let mut queue = self.lock();
        if queue.id.is_some() || queue.is_closed {
            return Ok(());
        }
        let this = Arc::clone(self);
        let thread = OwnThread::spawn(name, move |own| this.run(&own, caller()))?;
        queue.id = Some(thread.thread().id());
        queue.thread = Some(thread);
        Ok(())
    }

    fn run(&self, thread: &OwnThread, mut make: impl FnMut(C)) {
        loop {
            let awake = thread.awake();
            // Read before the queue is looked at: who comes after that look changes it.
            let seen = self.word.load(Ordering::Acquire);
            let mut queue = self.lock();
            let (calls, is_closed) = (std::mem::take(&mut queue.calls), queue.is_closed);
            queue.is_asleep = calls.is_empty() && !is_closed;
            drop(queue);
            if !calls.is_empty() {
                drop(thread.lend(awake, || calls.into_iter().for_each(&mut make)));
            } else if is_closed {
                let _awake = thread.lend(awake, || guarded(|| drop(make)));
                self.lock().is_over = true;
                self.over.notify_all();
                return;
            } else {
                drop(awake);
                futex_wait_own(self.word(), seen, None);
            }
        }
    }

    fn word(&self) -> *const u32 {
        std::ptr::from_ref(&self.word).cast()
    }

    /// Puts a call there.
    pub(super) fn push(&self, call: C) {
        let mut queue = self.lock();
        queue.calls.push_back(call);
        self.wake(queue);
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue<C>>) {
        let is_asleep = std::mem::take(&mut queue.is_asleep);
        drop(queue);
        if is_asleep {
            // Release pairs with the Acquire in `run`. The lock orders the rest.
            self.word.fetch_add(1, Ordering::Release);
            futex_wake_own(self.word());
        }
    }

    /// Whether this is called from there.
    pub(super) fn is_here(&self) -> bool {
        self.lock().id == Some(thread::current().id())
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.is_closed = true;
        queue.is_over |= queue.id.is_none();
        self.wake(queue);
    }

    /// Once the pool has ended: waits until all is called. Not from what is called: that is not over before it returns.
    pub(super) fn wait(&self) {
        let mut queue = self.lock();
        if queue.id == Some(thread::current().id()) {
            return;
        }
        if let Some(thread) = queue.thread.take() {
            drop(queue);
            drop(thread.join());
            return;
        }
        while !queue.is_over {
            queue = self.over.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Calls code of the user's. The panic hook has told of a panic; whoever calls goes on.
pub(super) fn guarded(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // Its drop may panic once more.
        std::mem::forget(payload);
    }
}
