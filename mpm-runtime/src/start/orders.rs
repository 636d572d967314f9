//! The orders that the starting thread gets, and the one place where they lie.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::launch::Launch;
use super::process::ChildProcess;
use super::served::{Fork, Reap};
use super::starter::{Failure, FailureKind, Started, Then, run_starter};
use super::stderr::Capture;
use super::template::Template;
use crate::sys::{Bell, Child, Exit, Socket};

/// The starting thread's inbox, and the process to which that thread belongs.
static STARTER: Mutex<Option<(u32, Arc<Inbox>)>> = Mutex::new(None);

/// What the starting thread is to do.
pub(super) enum Order {
    Spawn { launch: Launch, then: Then<Started> },
    Fork(Arc<Template>, Fork),
    GiveUp { template: u64, ticket: u64 },
    Reap { template: Arc<Template>, reap: Reap },
    Adopt { template: Arc<Template>, child: Child, socket: Socket, capture: Capture },
    Retire(u64),
    Mind { id: u64, child: ChildProcess, then: Then<Exit> },
    Kill(u64),
    Reaped(u64, Option<Exit>),
}

/// Where orders lie until the starting thread takes them.
#[derive(Debug)]
pub(super) struct Inbox {
    orders: Mutex<Orders>,
    pub(super) bell: Bell,
}

#[derive(Debug, Default)]
struct Orders {
    waiting: VecDeque<Order>,
    /// Nobody takes them any more.
    closed: bool,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { orders: Mutex::default(), bell: Bell::new()? })
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the order back if nobody would take it.
    fn put(&self, order: Order) -> Result<(), Order> {
        let mut orders = self.lock();
        if orders.closed {
            return Err(order);
        }
        orders.waiting.push_back(order);
        Ok(())
    }

    /// All that lie there.
    pub(super) fn take(&self) -> VecDeque<Order> {
        std::mem::take(&mut self.lock().waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// As [`take`](Self::take), for the last time: the next order starts another starting thread.
    pub(super) fn close(self: &Arc<Self>) -> VecDeque<Order> {
        STARTER.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(_, inbox)| Arc::ptr_eq(inbox, self));
        self.lock().closed = true;
        self.take()
    }
}

impl Order {
    /// Tells whoever waits for it that nothing comes of it.
    pub(super) fn fail(self, reason: &str) {
        match self {
            Self::Spawn { then, .. } | Self::Fork(_, Fork { then, .. }) => then(Err(Failure::new(reason, FailureKind::Passing))),
            Self::Reap { mut reap, .. } => reap.answer(None),
            // The next starting thread does it.
            Self::Mind { .. } | Self::Kill(_) | Self::Retire(_) | Self::Adopt { .. } | Self::Reaped(..) => drop(post(self)),
            Self::GiveUp { .. } => {}
        }
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

thread_local! {
    /// Whether this is the starting thread, which looks for orders of its own before it sleeps.
    static IS_STARTER: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread holds its orders together, and has given some.
    static HELD: Cell<Option<bool>> = const { Cell::new(None) };
}

/// The calling thread is the starting thread, or is it no longer.
pub(super) fn be_starter(is_one: bool) {
    IS_STARTER.set(is_one);
}

/// Orders of the calling thread wake the starting thread with the next start among them, or when this is dropped, and not each by itself.
/// A start is made while the next one is prepared.
#[derive(Debug)]
pub(crate) struct Together(PhantomData<*const ()>);

impl Together {
    pub(crate) fn begin() -> Self {
        HELD.set(Some(false));
        Self(PhantomData)
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        if HELD.replace(None) == Some(true)
            && let Ok(inbox) = inbox()
        {
            inbox.bell.ring();
        }
    }
}

pub(super) fn post(mut order: Order) -> io::Result<()> {
    loop {
        let inbox = inbox()?;
        let is_start = matches!(order, Order::Spawn { .. } | Order::Fork(..));
        match inbox.put(order) {
            Ok(()) if IS_STARTER.get() => {}
            Ok(()) if HELD.get().is_some() && !is_start => HELD.set(Some(true)),
            Ok(()) => {
                HELD.set(HELD.get().map(|_| false));
                inbox.bell.ring();
            }
            Err(back) => {
                order = back;
                continue;
            }
        }
        return Ok(());
    }
}

/// The starting thread's, which is started if it is not there.
fn inbox() -> io::Result<Arc<Inbox>> {
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    match &*starter {
        Some((owner, inbox)) if *owner == pid => Ok(Arc::clone(inbox)),
        // None yet, or none here: a copy of the process made by fork(2) does not have the thread.
        _ => {
            let inbox = run_starter()?;
            *starter = Some((pid, Arc::clone(&inbox)));
            Ok(inbox)
        }
    }
}
