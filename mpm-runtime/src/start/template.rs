//! Templates, as the parent knows them: which there are, who uses them, and how one is forked from this very process.
//!
//! A template serves all pools of the process whose plans are alike. It lives as long as a pool or a worker of it does;
//! one that holds nothing but the program, the last to be used, stays for the next pool.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::duplicate::{Inherited, fork_this_process};
use super::forkserver::{Inheritance, serve_forks};
use super::handshake::{Reply, send};
use super::level::{level, take_level};
use super::plan::Plan;
use super::refusal::Refusal;
use super::starter::{adopt_template, retire_template};
use super::stderr::capture_stderr;
use crate::error::{Error, Kind, Result};
use crate::link::sync::{AtomicBool, Ordering};
use crate::registry::Registry;
use crate::sys::{Socket, ignore_interrupt, rename, set_environment};

/// A process that forks workers: one to come, one that runs, or one that has ended and will be started anew.
#[derive(Debug)]
pub(crate) struct Template {
    pub(super) id: u64,
    pub(super) plan: Arc<Plan>,
    /// It is a copy of this process, and cannot be made anew.
    pub(super) is_copy: bool,
    /// Whether it runs: written by the starting thread.
    pub(super) running: Arc<AtomicBool>,
    /// The process to which it belongs, and not a copy of that.
    owner: u32,
}

#[derive(Debug)]
struct Known {
    owner: u32,
    last_id: u64,
    all: Vec<Weak<Template>>,
    /// The one that nobody uses now.
    idle: Option<Arc<Template>>,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

fn with_known<T>(change: impl FnOnce(&mut Known) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let owner = std::process::id();
    if known.as_ref().is_none_or(|known| known.owner != owner) {
        // None yet, or none here: those of the process of which this is a copy are not this one's.
        *known = Some(Known { owner, last_id: 0, all: Vec::new(), idle: None });
    }
    let Some(known) = &mut *known else { unreachable!("put there above") };
    change(known)
}

impl Known {
    fn add(&mut self, plan: &Arc<Plan>, is_copy: bool) -> Arc<Template> {
        self.last_id += 1;
        let (id, owner, running) = (self.last_id, self.owner, Arc::new(AtomicBool::new(false)));
        let made = Arc::new(Template { id, plan: Arc::clone(plan), is_copy, running, owner });
        self.all.retain(|template| template.strong_count() > 0);
        self.all.push(Arc::downgrade(&made));
        made
    }
}

/// The template for `plan`. It is started when it is first asked for a worker.
pub(crate) fn template_for(plan: &Arc<Plan>) -> Arc<Template> {
    let (found, former) = with_known(|known| {
        let alike = known.all.iter().filter_map(Weak::upgrade).find(|t| !t.is_copy && t.plan.is_like(plan));
        let found = alike.unwrap_or_else(|| known.add(plan, false));
        let former = known.idle.take_if(|idle| Arc::ptr_eq(idle, &found));
        (found, former)
    });
    drop(former);
    found
}

/// A pool lets go of its template.
pub(crate) fn put_aside(template: Arc<Template>) {
    if template.plan.is_bare() && !template.is_copy && template.is_running() {
        // The former one is dropped outside of the lock.
        drop(with_known(|known| known.idle.replace(template)));
    }
}

impl Template {
    pub(crate) fn is_running(&self) -> bool {
        // Relaxed: whoever asks can be answered a moment too late in any case.
        self.running.load(Ordering::Relaxed)
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            retire_template(self.id);
        }
    }
}

/// Forks a template from this process as it is now.
///
/// # Errors
/// When this process has other threads, unless `promised` says that they do not matter; when the system has no process,
/// memory or descriptor left.
pub(crate) fn fork_template(plan: &Arc<Plan>, registry: &'static Registry, promised: bool) -> Result<Arc<Template>> {
    let system = |what: &'static str| move |e: std::io::Error| Error::new(Kind::System, what).because(e);
    let (ours, theirs) = Socket::pair().map_err(system("make a socket for the template"))?;
    let (capture, stderr) = capture_stderr().map_err(system("make the standard error of the template"))?;
    let inherited = Inherited::new()?;
    let template = with_known(|known| known.add(plan, true));
    let child = fork_this_process(promised, stderr, || be_copy(plan, registry, Socket::from(theirs), inherited))?;
    adopt_template(&template, child, ours, capture).map_err(system("start the starting thread"))?;
    Ok(template)
}

/// The life of a template that is a copy of its parent.
fn be_copy(plan: &Plan, registry: &'static Registry, socket: Socket, inherited: Inherited) -> ! {
    ignore_interrupt();
    rename("mpm-template");
    take_level(level().below(None));
    set_environment(&plan.environment);
    let ready = inherited.tied(|lifeline, parent, untied| {
        untied.map_or(Ok(()), |error| Err(Refusal::untied(&error)))?;
        plan.directory.as_ref().map_or(Ok(()), super::plan::Directory::enter).map_err(Refusal::handshake)?;
        Inheritance::prepare(&socket, registry, plan.preload.jobs.clone(), (lifeline, parent))
    });
    let ready = ready.and_then(|prepared| send(&socket, &Reply::Ready, &[]).map(|()| prepared).map_err(Refusal::not_heard));
    match ready {
        Ok(inheritance) => serve_forks(socket, inheritance),
        Err(refusal) => {
            refusal.tell(&socket);
            refusal.end()
        }
    }
}
