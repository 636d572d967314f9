//! Copies of this very process, made by fork(2) on the calling thread: a template, a process for one job, a closure's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::child::{Born, be_worker};
use super::current::{Current, ParentProcess, become_current, current_process};
use super::launch::{Launch, ties};
use super::level::{level, take_level};
use super::method::StartMethod;
use super::recipe::installed;
use super::stderr::{Capture, capture_stderr};
use crate::error::{Error, Kind, Result, WorkerExit};
use crate::sys::{
    Alone, Child, LifelineEnd, Pidfd, Socket, adopt_stderr, alone, arm_lifeline, arm_parent_death_signal, exit_now, flush_output,
    fork, leave_the_original, rename, say, set_environment,
};

fn system(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |e| Error::new(Kind::System, what).because(e)
}

/// What a copy of this process needs of it, in descriptors that it does not give up.
#[derive(Debug)]
pub(super) struct Inherited {
    lifeline: LifelineEnd,
    parent: OwnedFd,
}

impl Inherited {
    pub(super) fn new() -> Result<Self> {
        let ties = ties()?;
        let copy = system("copy a descriptor for a copy of this process");
        let lifeline = ties.lifeline.read_end().try_clone_to_owned().map_err(&copy)?.into();
        Ok(Self { lifeline, parent: ties.pidfd.as_fd().try_clone_to_owned().map_err(&copy)? })
    }

    /// In the copy: ties it to this process until `run` has returned, which is told if that failed.
    pub(super) fn tied<T>(self, run: impl FnOnce(LifelineEnd, Pidfd, Option<io::Error>) -> T) -> T {
        let (tied, untied) = match self.lifeline.open().and_then(arm_lifeline) {
            Ok(tied) => (Some(tied), None),
            Err(error) => (None, Some(error)),
        };
        let parent = Pidfd::from(self.parent);
        if parent.has_ended() {
            exit_now(WorkerExit::ParentGone.code());
        }
        let result = run(self.lifeline, parent, untied);
        drop(tied);
        result
    }
}

/// Forks this process. The copy leaves what is not the user's of this one, runs `in_copy` and ends with the code that it
/// returns, if it does.
pub(super) fn fork_this_process(promised: bool, stderr: OwnedFd, in_copy: impl FnOnce() -> i32) -> Result<Child> {
    let alone = if promised {
        flush_output();
        Alone::promised()
    } else {
        let alone = check_alone()?;
        // Not before: another thread could hold what this locks, and for ever.
        flush_output();
        alone
    };
    match fork(alone).map_err(system("fork this process"))? {
        None => {
            let ran = catch_unwind(AssertUnwindSafe(|| {
                leave_the_original();
                drop(adopt_stderr(&stderr));
                drop(stderr);
                in_copy()
            }));
            // Not a step further: what called this belongs to the original.
            exit_now(ran.unwrap_or(WorkerExit::HandshakeFailed.code()))
        }
        Some(pid) => Child::adopt(pid).map_err(system("watch a copy of this process")),
    }
}

/// That no other thread of this process can hold a lock.
fn check_alone() -> Result<Alone> {
    alone(installed()?.recipe.parks_main()).map_err(|e| {
        let text = "this process cannot be forked while it has other threads: what they have locked would stay locked in the copy. Start \
                    them later, or promise that they do not matter (the unsafe functions whose names end in `despite_threads`); pools and \
                    processes can use StartMethod::ForkServer";
        Error::new(Kind::Setting, text).because(e)
    })
}

/// Forks the process that `launch` describes.
pub(crate) fn fork_process(launch: Launch, promised: bool) -> Result<Child> {
    let Launch { nonce, control, stderr, plan, .. } = launch;
    // This copy is the one that they are for.
    let control = OwnedFd::from(control);
    fork_this_process(promised, stderr.into(), || {
        set_environment(&plan.environment);
        be_worker(Socket::from(control), nonce, Born::AsCopy)
    })
}

/// Runs `work` in a copy of this process called `name`; it ends with the code that `work` returns.
pub(crate) fn fork_to_run(name: &str, promised: bool, work: impl FnOnce(&Socket) -> i32) -> Result<(Child, Socket, Capture)> {
    let (ours, theirs) = Socket::pair().map_err(system("make the socket of a copy"))?;
    let (capture, stderr) = capture_stderr().map_err(system("make the standard error of a copy"))?;
    let inherited = Inherited::new()?;
    let original = (current_process().name().to_owned(), std::process::id());
    let child = fork_this_process(promised, stderr, || {
        inherited.tied(|lifeline, pidfd, untied| {
            drop(lifeline);
            // A closure may close the lifeline.
            let second_tie = arm_parent_death_signal(original.1);
            if let Some(error) = untied.filter(|_| !second_tie) {
                say(&format!("mpm: the closure was not run: its process cannot be tied to its parent: {error}"));
                return WorkerExit::HandshakeFailed.code();
            }
            rename(name);
            take_level(level().below(None));
            become_current(Current {
                name: name.to_owned(),
                method: StartMethod::Fork,
                daemon: true,
                parent: ParentProcess::new(original.0, original.1, pidfd),
            });
            let code = work(&Socket::from(theirs));
            // Another thread may have been printing, whose lock nobody opens here.
            if !promised {
                flush_output();
            }
            code
        })
    })?;
    Ok((child, ours, capture))
}
