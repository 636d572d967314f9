//! What the pool's face, its handles and its supervisor have in common: the lock around the core, and the ways to wait.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::again::Judged;
use super::callbacks::Callbacks;
use super::calls::Calls;
use super::cell::Cell;
use super::core::Core;
use super::ended::Bin;
use super::hooks::WorkerHooks;
use super::settings::Settings;
use super::watcher::Tell;
use crate::error::{JobError, Refusal};
use crate::link::sync::{AtomicBool, AtomicU32};
use crate::link::{Payload, Shelf};
use crate::registry::Registry;
use crate::start::{Plan, StartMethod, Started};
use crate::sys::{Doorbell, Exit, Original};

/// What has to be told when the lock is gone.
#[derive(Debug)]
pub(super) struct Changes {
    told: SmallVec<[Tell; 1]>,
    tasks: Vec<Tell>,
    /// To be dropped when the lock is gone.
    bin: Bin,
    /// Somebody waits for room, and there is some.
    room: bool,
    /// Those who wait for the end of the pool, or of workers, are to look.
    ended: bool,
    wake_supervisor: bool,
}

impl Core {
    /// Whether nobody has to be told of what has changed.
    fn is_quiet(&self) -> bool {
        let minds_the_queue = self.blocked > 0 || self.ending.is_some();
        self.jobs_ended.is_empty() && !self.wake && !self.ended && !minds_the_queue && !self.has_restarted
    }
}

impl Changes {
    fn of(core: &mut Core) -> Self {
        core.take_up_again();
        let bin = core.jobs_ended.take_bin();
        let (told, any_ended) = core.jobs_ended.take();
        let (freed, wake, ended) = (std::mem::take(&mut core.freed), std::mem::take(&mut core.wake), core.ended);
        // Whoever takes in the last response of a pool that is ending, the supervisor must see that it was the last.
        let wake_supervisor = wake || core.jobs_ended.has_tasks() || (core.ending.is_some() && !ended && (freed || any_ended));
        let ended = ended || std::mem::take(&mut core.has_restarted);
        Self { told, tasks: Vec::new(), bin, room: freed && core.blocked > 0, ended, wake_supervisor }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.told.is_empty() && self.tasks.is_empty() && self.bin.is_empty() && !self.room && !self.ended && !self.wake_supervisor
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
    pub(super) hooks: WorkerHooks,
    pub(super) callbacks: Arc<Callbacks>,
    /// Where results are judged: the core's.
    pub(super) judges: Arc<Calls<Judged>>,
    pub(super) registry: &'static Registry,
    pub(super) doorbell: Doorbell,
    pub(super) shelf: Arc<Shelf>,
    pub(super) core: Mutex<Core>,
    /// The queue has room, or never will have.
    room: Condvar,
    /// The pool has ended, or a worker has that was to be replaced.
    pub(super) ended: Condvar,
    inbox: Mutex<VecDeque<News>>,
    /// The process that made the pool. In a copy of it by `fork` the supervisor is not there, and the shared memory still
    /// is: nothing may be done there.
    original: Arc<Original>,
    /// The system cannot wait for a link and a cell at once: threads leave it to the supervisor to look.
    pub(super) is_indirect: AtomicBool,
    /// Of the core's size and limits, for those who do not want the lock. Relaxed: a change holds from some job on.
    pub(super) most_workers: AtomicU32,
    pub(super) counts_jobs: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        plan: Arc<Plan>,
        (hooks, callbacks): (WorkerHooks, Arc<Callbacks>),
        registry: &'static Registry,
    ) -> io::Result<Self> {
        let shelf = Shelf::new(settings.size.most);
        let most_workers = AtomicU32::new(u32::try_from(settings.size.most).unwrap_or(u32::MAX));
        let counts_jobs = AtomicBool::new(settings.limits.max_jobs.is_some());
        let core = Core::new(&settings, Arc::clone(&shelf), Arc::clone(&callbacks));
        let (judges, core) = (Arc::clone(&core.judges), Mutex::new(core));
        let doorbell = Doorbell::new()?;
        let original = Original::this_process();
        let (room, ended, inbox) = (Condvar::new(), Condvar::new(), Mutex::default());
        Ok(Self {
            settings,
            plan,
            hooks,
            callbacks,
            judges,
            registry,
            doorbell,
            shelf,
            core,
            room,
            ended,
            inbox,
            original,
            is_indirect: AtomicBool::new(false),
            most_workers,
            counts_jobs,
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
        core.take_up_again();
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
        let Changes { told, tasks, bin, room, ended, wake_supervisor } = changes;
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
        bin.empty();
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
    pub(super) fn refusal(core: &Core) -> Option<Refusal> {
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
}
