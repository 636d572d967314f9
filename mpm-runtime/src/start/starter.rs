//! The one thread that starts all children of this process, and speaks with its templates.
//!
//! It lives as long as the process: a child may ask to be told when the thread that started it ends
//! (`PR_SET_PDEATHSIG` is per thread, prctl(2)), so no thread of the user's may be that one. It also keeps a slow start
//! from holding up a pool. It sleeps in one epoll over its bell and the templates' sockets and ends.
//!
//! | a template is | until |
//! |---|---|
//! | not running | a worker is ordered: it is started |
//! | preparing | it says that it is ready, refuses, or is overdue |
//! | serving | it dies, is overdue, or nobody uses it any more |
//!
//! Orders to one template are answered in their order, so what was sent waits in a row.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::launch::Launch;
use super::line::{Line, Run};
use super::mind::{MINDED, Minded};
use super::orders::{Inbox, Order, be_starter, post};
use super::process::ChildProcess;
use super::recipe::{Role, installed};
use super::served::{Fork, Reap, Request, Served};
use super::stderr::Capture;
use super::template::Template;
use crate::error::{Error, Kind};
use crate::sys::{Child, Exit, Keys, OwnThread, Poller, Socket, SpawnRequest, spawn};

const BELL: u64 = 0;

/// How long a template is waited for where it can be done without: to tell how a worker ended, of which the system tells most too, and
/// whether there is a worker that is not wanted any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Called on the starting thread with what came of an order.
pub(crate) type Then<T> = Box<dyn FnOnce(T) + Send>;

/// Why a process was not started.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Another try can go better.
    Passing,
    /// Every other try would fail too.
    Lasting,
    /// This program cannot be forked: it has threads before it comes to `init`.
    HasThreads,
}

pub(crate) type Started = Result<ChildProcess, Failure>;

/// Where a pool's workers come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// `posix_spawn` of `/proc/self/exe`: a fresh process, about a millisecond.
    Spawn,
    /// A copy of this template.
    Template(Arc<Template>),
}

impl Origin {
    /// Starts a process; `then` is called with what came of it. `ticket` is unique among the orders of a template.
    ///
    /// # Errors
    /// When the starting thread cannot be started.
    pub(crate) fn start(&self, launch: Launch, ticket: u64, limit: Duration, then: Then<Started>) -> io::Result<()> {
        post(match self {
            Self::Spawn => Order::Spawn { launch, then },
            Self::Template(template) => {
                let until = Instant::now().checked_add(limit);
                Order::Fork(Arc::clone(template), Fork { ticket, launch, limit, until, then })
            }
        })
    }

    /// The process is not wanted any more: its order fails now, if it has not come to its end.
    pub(crate) fn give_up(&self, ticket: u64) {
        if let Self::Template(template) = self {
            drop(post(Order::GiveUp { template: template.id, ticket }));
        }
    }
}

/// Has a template reap a worker that has ended, and that is of this run of it.
pub(super) fn reap_in_background(template: &Arc<Template>, run: &Run, pid: i32, then: Then<Option<Exit>>) {
    let reap = Reap { pid, run: run.clone(), until: Instant::now() + PATIENCE, then: Some(then) };
    drop(post(Order::Reap { template: Arc::clone(template), reap }));
}

/// Takes charge of a template that was forked from this process.
pub(super) fn adopt_template(template: &Arc<Template>, child: Child, socket: Socket, capture: Capture) -> io::Result<()> {
    post(Order::Adopt { template: Arc::clone(template), child, socket, capture })
}

/// Nobody uses this template any more.
pub(super) fn retire_template(id: u64) {
    drop(post(Order::Retire(id)));
}

/// A number for an order.
pub(crate) fn next_ticket() -> u64 {
    static LAST: Mutex<u64> = Mutex::new(0);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last += 1;
    *last
}

/// Starts the starting thread.
pub(super) fn run_starter() -> io::Result<Arc<Inbox>> {
    let inbox = Arc::new(Inbox::new()?);
    let poller = Poller::new()?;
    poller.watch(&inbox.bell, BELL)?;
    let starter = Starter { inbox: Arc::clone(&inbox), poller, served: BTreeMap::new(), minded: BTreeMap::new() };
    OwnThread::spawn("mpm-starter", move |own| starter.run(&own))?;
    Ok(inbox)
}

pub(super) struct Starter {
    inbox: Arc<Inbox>,
    pub(super) poller: Poller,
    pub(super) served: BTreeMap<u64, Served>,
    pub(super) minded: BTreeMap<u64, Minded>,
}

impl Starter {
    fn run(mut self, thread: &OwnThread) {
        // A panic here is a bug of mpm's. Nobody shall wait for ever because of it.
        be_starter(true);
        let ran = catch_unwind(AssertUnwindSafe(|| self.turns(thread)));
        be_starter(false);
        let _awake = thread.awake();
        self.end(match ran {
            // Somebody in this process has closed a descriptor that is not his.
            Ok(error) => format!("the starting thread cannot wait for events: {error}"),
            Err(_) => "the starting thread panicked; this is a bug in mpm".to_owned(),
        });
    }

    fn turns(&mut self, thread: &OwnThread) -> io::Error {
        let mut keys = Keys::none();
        loop {
            let awake = thread.awake();
            self.turn(&keys);
            let deadline = self.next_deadline();
            drop(awake);
            match self.poller.wait(deadline.map(|at| at.saturating_duration_since(Instant::now()))) {
                Ok(ready) => keys = ready,
                Err(error) => return error,
            }
        }
    }

    /// Leaves nobody waiting. The next order starts another such thread.
    fn end(self, reason: String) {
        let Self { inbox, served, minded, .. } = self;
        for order in inbox.close() {
            order.fail(&reason);
        }
        for mut served in served.into_values() {
            served.fail_all(&reason, FailureKind::Passing);
        }
        for (id, Minded { child, then }) in minded {
            // The next one waits for its end.
            drop(post(Order::Mind { id, child, then }));
        }
    }

    fn turn(&mut self, keys: &Keys) {
        if keys.iter().any(|key| key == BELL) {
            self.inbox.bell.clear();
        }
        for key in keys.iter().filter(|key| *key != BELL) {
            if key & MINDED != 0 {
                self.look_after(key & !MINDED);
                continue;
            }
            let Some(served) = self.served.get_mut(&(key / 2)) else { continue };
            if key % 2 == 0 { served.bury(&self.poller) } else { served.hear(&self.poller) }
        }
        loop {
            for order in self.inbox.take() {
                self.obey(order);
            }
            let now = Instant::now();
            for (id, served) in &mut self.served {
                served.enforce_deadline(now);
                served.advance(*id, &self.poller);
            }
            // What was done may have led to further orders.
            if self.inbox.is_empty() {
                return;
            }
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        self.served.values_mut().filter_map(Served::deadline).min()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Spawn { launch, then } => {
                let child = spawn_worker(&launch);
                // The child's ends must be closed here before anybody waits for their hang-up.
                drop(launch);
                then(child.map(ChildProcess::Own).map_err(|error| Failure { error, kind: FailureKind::Passing }));
            }
            Order::Fork(template, fork) => self.serve(&template).ask(template, Request::Fork(fork)),
            Order::Reap { template, reap } => self.serve(&template).ask(template, Request::Reap(reap)),
            Order::GiveUp { template, ticket } => {
                if let Some(served) = self.served.get_mut(&template) {
                    served.give_up(ticket);
                }
            }
            Order::Adopt { template, child, socket, capture } => {
                let line = Line::new(child, socket, capture);
                let watched = line.watch(&self.poller, template.id);
                let served = self.serve(&template);
                match watched {
                    Ok(()) => served.take_up(line),
                    Err(error) => served.is_lost(&format!("the template cannot be watched: {error}")),
                }
            }
            Order::Mind { id, child, then } => self.begin_to_mind(id, child, then),
            Order::Kill(id) => self.kill(id),
            Order::Reaped(id, exit) => self.learn(id, exit),
            Order::Retire(id) => {
                if let Some(served) = self.served.remove(&id) {
                    served.forget(&self.poller);
                }
            }
        }
    }

    fn serve(&mut self, template: &Template) -> &mut Served {
        self.served.entry(template.id).or_insert_with(|| Served::new(template))
    }
}

impl Failure {
    /// Another try can go better.
    pub(crate) fn passing(error: Error) -> Self {
        Self { error, kind: FailureKind::Passing }
    }

    pub(super) fn new(reason: &str, kind: FailureKind) -> Self {
        Self { error: Error::new(Kind::System, reason), kind }
    }
}

fn spawn_worker(launch: &Launch) -> Result<Child, Error> {
    let recipe = &installed()?.recipe;
    let request = SpawnRequest {
        argv: &recipe.arguments(Role::Worker, &launch.name, launch.nonce),
        env: &launch.plan.environment,
        control: launch.control.as_fd(),
        stderr: launch.stderr.as_fd(),
        set_stdout_aside: recipe.prints_first(),
    };
    spawn(&request).map_err(|e| Error::new(Kind::System, format!("start worker {}", launch.name)).because(e))
}
