//! The one thread that starts all children of this process.
//!
//! It lives as long as the process: a child may ask to be told when the thread that started it ends
//! (`PR_SET_PDEATHSIG` is per thread, prctl(2)), so no thread of the user's may be that one. It also keeps a slow start
//! from holding up a pool.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::launch::{Launch, StartMethod};
use crate::sys::{Child, block_all_signals};

struct Order {
    method: Arc<dyn StartMethod>,
    launch: Launch,
    then: Box<dyn FnOnce(io::Result<Child>) + Send>,
}

/// Starts a process on the starting thread and calls `then` there with what came of it.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start_in_background(
    method: Arc<dyn StartMethod>,
    launch: Launch,
    then: impl FnOnce(io::Result<Child>) + Send + 'static,
) -> io::Result<()> {
    static STARTER: Mutex<Option<(u32, Sender<Order>)>> = Mutex::new(None);
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    let sender = match starter.take() {
        Some((owner, sender)) if owner == pid => sender,
        // None yet, or none here: a copy of the process made by fork(2) does not have the thread.
        _ => run()?,
    };
    let order = Order { method, launch, then: Box::new(then) };
    let sent = sender.send(order).map_err(|_| io::Error::other("the starting thread has ended"));
    if sent.is_ok() {
        *starter = Some((pid, sender));
    }
    sent
}

fn run() -> io::Result<Sender<Order>> {
    let (sender, orders) = channel::<Order>();
    thread::Builder::new().name("mpm-starter".to_owned()).spawn(move || {
        block_all_signals();
        for Order { method, launch, then } in orders {
            let child = method.start(&launch);
            // The child's ends must be closed here before anybody waits for their hang-up.
            drop(launch);
            then(child);
        }
    })?;
    Ok(sender)
}
