//! What the pool's face, its handles and its supervisor have in common: the lock around the core, and the ways to wait.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;

use super::cell::{Cell, Tell};
use super::core::{Core, Ending};
use super::settings::Settings;
use crate::error::{JobError, Refusal};
use crate::link::sync::AtomicBool;
use crate::link::{Payload, Shelf};
use crate::registry::Registry;
use crate::start::{Plan, StartMethod, Started};
use crate::sys::{Doorbell, Exit, Original, usable_cpus};

/// What has to be told when the lock is gone.
#[derive(Debug)]
pub(super) struct Changes {
    told: SmallVec<[Tell; 1]>,
    tasks: Vec<Tell>,
    /// Somebody waits for room, and there is some.
    room: bool,
    ended: bool,
    wake_supervisor: bool,
}

impl Core {
    /// Whether nobody has to be told of what has changed.
    fn is_quiet(&self) -> bool {
        let minds_the_queue = self.blocked > 0 || self.ending.is_some();
        self.jobs_ended.is_empty() && !self.wake && !self.ended && !minds_the_queue
    }
}

impl Changes {
    fn of(core: &mut Core) -> Self {
        let (told, any_ended) = core.jobs_ended.take();
        let (freed, wake, ended) = (std::mem::take(&mut core.freed), std::mem::take(&mut core.wake), core.ended);
        // Whoever takes in the last response of a pool that is ending, the supervisor must see that it was the last.
        let wake_supervisor = wake || core.jobs_ended.has_tasks() || (core.ending.is_some() && !ended && (freed || any_ended));
        Self { told, tasks: Vec::new(), room: freed && core.blocked > 0, ended, wake_supervisor }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.told.is_empty() && self.tasks.is_empty() && !self.room && !self.ended && !self.wake_supervisor
    }
}

/// What the starting thread has to tell of a process, by its incarnation.
#[derive(Debug)]
pub(super) enum News {
    /// It is there, or why it is not.
    Started(u64, Started),
    /// How it ended, as its template tells it.
    Reaped(u64, Option<Exit>),
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) plan: Arc<Plan>,
    pub(super) registry: &'static Registry,
    pub(super) doorbell: Doorbell,
    pub(super) shelf: Arc<Shelf>,
    pub(super) core: Mutex<Core>,
    /// The queue has room, or never will have.
    room: Condvar,
    /// The pool has ended.
    ended: Condvar,
    inbox: Mutex<VecDeque<News>>,
    pub(super) cpus: usize,
    /// The process that made the pool. In a copy of it by `fork` the supervisor is not there, and the shared memory still
    /// is: nothing may be done there.
    original: Arc<Original>,
    /// The system cannot wait for a link and a cell at once: threads leave it to the supervisor to look.
    pub(super) is_indirect: AtomicBool,
}

impl Shared {
    pub(super) fn new(settings: Settings, plan: Arc<Plan>, registry: &'static Registry) -> io::Result<Self> {
        let shelf = Shelf::new(settings.workers);
        let core = Mutex::new(Core::new(&settings, Arc::clone(&shelf)));
        let doorbell = Doorbell::new()?;
        let original = Original::this_process();
        let (room, ended, inbox, cpus) = (Condvar::new(), Condvar::new(), Mutex::default(), usable_cpus());
        Ok(Self {
            settings,
            plan,
            registry,
            doorbell,
            shelf,
            core,
            room,
            ended,
            inbox,
            cpus,
            original,
            is_indirect: AtomicBool::new(false),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` under the lock; afterwards, without it, tells those who wait for jobs that have ended or for room.
    pub(super) fn with_core<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        let result = change(&mut core);
        self.unlock(core);
        result
    }

    /// As [`with_core`](Self::with_core), for the supervisor, which does on its own thread what comes of it in two steps.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Core) -> T) -> (T, Changes) {
        let mut core = self.lock();
        let result = change(&mut core);
        let tasks = core.jobs_ended.take_tasks();
        (result, Changes { tasks, ..Changes::of(&mut core) })
    }

    pub(super) fn unlock(&self, mut core: MutexGuard<'_, Core>) {
        if core.is_quiet() {
            return;
        }
        let changes = Changes::of(&mut core);
        drop(core);
        self.tell(changes);
    }

    /// Tells everybody of what has changed. Runs code of the user's: the wakers of tasks.
    pub(super) fn tell(&self, changes: Changes) {
        let Changes { told, tasks, room, ended, wake_supervisor } = changes;
        if wake_supervisor {
            self.doorbell.ring();
        }
        if room || ended {
            self.room.notify_all();
        }
        if ended {
            self.ended.notify_all();
        }
        told.into_iter().chain(tasks).for_each(Tell::tell);
    }

    /// Whether this is a copy, made by `fork`, of the process that made the pool.
    pub(super) fn is_copy(&self) -> bool {
        self.original.is_elsewhere()
    }

    /// Refuses everything in such a copy, before the lock, which the supervisor may have held at the fork.
    pub(super) fn check_owner(&self) -> Result<(), Refusal> {
        if self.is_copy() {
            return Err(Refusal::Failed("this process was forked from the one that made the pool; make a pool here".into()));
        }
        Ok(())
    }

    /// In such a copy, what every job ends with. No lock may be taken there, neither the pool's nor a job's.
    pub(super) fn lost(&self) -> Option<JobError> {
        let reason = "this process was forked from the one that made the pool, and will not learn how the job ends";
        self.is_copy().then(|| JobError::PoolFailed(reason.into()))
    }

    /// Why a job would be refused now, apart from a full queue.
    fn refusal(core: &Core) -> Option<Refusal> {
        if let Some(reason) = &core.failed {
            return Some(Refusal::Failed(Arc::clone(reason)));
        }
        (core.ending.is_some() || core.ended).then_some(Refusal::Closed)
    }

    /// Whether a job would be accepted now.
    pub(super) fn accepts(&self) -> Result<(), Refusal> {
        let core = self.lock();
        let full = core.waiting >= self.settings.queue;
        Self::refusal(&core).or_else(|| full.then_some(Refusal::Full(self.settings.queue))).map_or(Ok(()), Err)
    }

    /// Puts a job into the queue, for the caller to hand out. With `block`, waits for room.
    pub(super) fn enter(
        &self,
        cell: &Arc<Cell>,
        target: u32,
        payload: Payload,
        block: bool,
    ) -> Result<MutexGuard<'_, Core>, Refusal> {
        let mut core = self.lock_with_room(block)?;
        core.enqueue(Arc::clone(cell), target, payload);
        Ok(core)
    }

    /// The lock, at a moment at which the queue has room for a job.
    // Called from two ways: the plain one is not to be longer for the other.
    #[inline(always)]
    pub(super) fn lock_with_room(&self, block: bool) -> Result<MutexGuard<'_, Core>, Refusal> {
        let mut core = self.lock();
        loop {
            if let Some(refusal) = Self::refusal(&core) {
                return Err(refusal);
            }
            if core.waiting < self.settings.queue {
                break;
            }
            if !block {
                return Err(Refusal::Full(self.settings.queue));
            }
            core.blocked += 1;
            core = self.room.wait(core).unwrap_or_else(PoisonError::into_inner);
            core.blocked -= 1;
        }
        Ok(core)
    }

    /// Puts a job into the queue and hands out what can be handed out.
    pub(super) fn submit(&self, cell: &Arc<Cell>, target: u32, payload: Payload, block: bool) -> Result<(), Refusal> {
        let mut core = self.enter(cell, target, payload, block)?;
        core.look_now_and_then();
        core.dispatch();
        self.unlock(core);
        Ok(())
    }

    pub(super) fn method(&self) -> StartMethod {
        if self.is_copy() { self.settings.method } else { self.lock().method }
    }

    /// An id for a job that failed before it came to the queue.
    pub(super) fn next_job(&self) -> u64 {
        self.with_core(|core| {
            core.last_job += 1;
            core.last_job
        })
    }

    pub(super) fn cancel(&self, cell: &Arc<Cell>) -> bool {
        if self.is_copy() {
            return false;
        }
        self.with_core(|core| {
            let cancelled = core.cancel(cell);
            core.dispatch();
            cancelled
        })
    }

    /// The starting thread's way to tell the supervisor.
    pub(super) fn deliver(&self, news: News) {
        if self.lock().ended {
            // The pool has failed meanwhile. Dropped here, the process is killed and reaped.
            return;
        }
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(news);
        self.doorbell.ring();
    }

    pub(super) fn next_news(&self) -> Option<News> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Asks the pool to end, or to hurry if it is ending already. With `cancel`, for that reason, jobs that have not started
    /// are taken back: in one step with the closing, so that those who wait for room do not fill the place.
    pub(super) fn end(&self, kill_at: Option<Instant>, cancel: Option<&'static str>) {
        if self.is_copy() {
            return;
        }
        self.with_core(|core| {
            if let Some(reason) = cancel {
                core.cancel_unstarted(reason);
            }
            let before = core.ending.and_then(|ending| ending.kill_at);
            let kill_at = [before, kill_at].into_iter().flatten().min();
            core.ending = Some(Ending { kill_at });
            core.resume();
            // Those who wait for room will get none.
            core.freed = true;
        });
        self.doorbell.ring();
    }

    /// Waits until all processes of the pool are gone.
    pub(super) fn wait_ended(&self) {
        let mut core = self.lock();
        while !core.ended && !self.is_copy() {
            core = self.ended.wait(core).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
