//! What a starting worker says, on its control socket: which job it runs first, what that returned, that it is ready.

use std::io;
use std::time::Instant;

use super::core::Core;
use super::member::{Fate, State};
use super::supervisor::Supervisor;
use crate::start::{Reply, read_reply};

/// What a job returned that a starting worker has run first. A failure is the user's type, whose code is not to run under the lock; the
/// worker's next word waits for that.
#[derive(Debug)]
pub(super) struct FirstResult {
    pub(super) incarnation: u64,
    is_preload: bool,
    index: u32,
    result: Vec<u8>,
    /// Whether it went well, once that is known.
    verdict: Option<Result<(), String>>,
}

impl Supervisor {
    /// Reads the results of first jobs: runs code of the user's, if they have failed.
    pub(super) fn read_first_results(&mut self) {
        let shared = &self.shared;
        for FirstResult { is_preload, index, result, verdict, .. } in &mut self.first_results {
            let result = std::mem::take(result);
            let check =
                || if *is_preload { shared.plan.check_preload(*index, result) } else { shared.hooks.check_start(*index, result) };
            *verdict = Some(check());
        }
    }

    /// Reads what a starting worker says.
    pub(super) fn hear(&mut self, core: &mut Core, incarnation: u64) {
        let first = self.first_results.iter().position(|first| first.incarnation == incarnation);
        let Some(process) = core.find_mut(incarnation) else {
            first.into_iter().for_each(|at| drop(self.first_results.swap_remove(at)));
            return;
        };
        if process.course.is_ready {
            return self.hear_end(process);
        }
        let mut is_ready = false;
        let mut failed = false;
        if let Some(at) = first {
            if self.first_results.get(at).is_some_and(|first| first.verdict.is_none()) {
                return;
            }
            let FirstResult { is_preload, verdict, .. } = self.first_results.swap_remove(at);
            if let Some(Err(reason)) = verdict {
                process.kill(Fate::Unready(reason.clone()));
                if is_preload {
                    process.refused = Some(reason);
                }
                failed = true;
            }
        }
        loop {
            if failed {
                break;
            }
            let mut first = |is_preload, index, result| {
                self.first_results.push(FirstResult { incarnation, is_preload, index, result, verdict: None });
            };
            match read_reply(process.link.socket()).map(|some| some.map(|(reply, _)| reply)) {
                Ok(None) => return,
                Ok(Some(Reply::Preloading(index))) => process.preloading = Some(index),
                Ok(Some(Reply::Preloaded(index, result))) => {
                    process.preloading = None;
                    return first(true, index, result);
                }
                Ok(Some(Reply::Starting(index))) => {
                    process.course.starting = Some(index);
                    if let State::Starting { deadline } = &mut process.state {
                        *deadline = Instant::now().checked_add(self.shared.hooks.start_timeout);
                    }
                }
                Ok(Some(Reply::Started(index, result))) => {
                    process.course.starting = None;
                    return first(false, index, result);
                }
                Ok(Some(Reply::Ready)) => {
                    process.course.is_ready = true;
                    // Not one that is being killed: it may say so all the same.
                    if matches!(process.state, State::Starting { .. }) && process.fate.is_none() {
                        let since = Instant::now();
                        (process.state, process.idle_since) = (State::Ready { since }, Some((0, since)));
                        is_ready = true;
                    }
                    break;
                }
                Ok(Some(Reply::Refused(reason) | Reply::HasThreads(reason))) => {
                    process.refused = Some(reason);
                    break;
                }
                Ok(Some(_)) => {
                    process.kill(Fate::Unready("sent a handshake that is none of a worker's".to_owned()));
                    break;
                }
                // The other end is closed: its exit, which comes now, tells why. That is no refusal, after which no other
                // worker would be tried.
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => break,
                Err(error) => {
                    process.kill(Fate::Unready(format!("sent a handshake that cannot be read: {error}")));
                    break;
                }
            }
        }
        self.poller.forget(&process.link);
        if is_ready {
            process.tell_ready(&self.shared.callbacks);
            core.failures = 0;
        }
    }
}
