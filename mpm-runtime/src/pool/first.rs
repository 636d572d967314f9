//! What a starting worker says, on its control socket: which job it runs first, what that returned, that it is ready.

use std::io;
use std::time::Instant;

use super::core::Core;
use super::member::{Fate, Process, State};
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
                return self.poller.forget(&process.link);
            }
        }
        let heard = self.hear_start(process);
        if matches!(heard, Heard::Part) {
            return;
        }
        self.poller.forget(&process.link);
        if matches!(heard, Heard::Ready) {
            process.tell_ready(&self.shared.callbacks);
            core.failures = 0;
        }
    }

    /// Reads on, as far as something is there and nothing has to be known first.
    fn hear_start(&mut self, process: &mut Process) -> Heard {
        let mut first = |is_preload, index, result| {
            self.first_results.push(FirstResult { incarnation: process.incarnation, is_preload, index, result, verdict: None });
            Heard::Part
        };
        loop {
            match read_reply(process.link.socket()).map(|some| some.map(|(reply, _)| reply)) {
                Ok(None) => return Heard::Part,
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
                    if !matches!(process.state, State::Starting { .. }) || process.fate.is_some() {
                        return Heard::All;
                    }
                    let since = Instant::now();
                    (process.state, process.idle_since) = (State::Ready { since }, Some((0, since)));
                    return Heard::Ready;
                }
                Ok(Some(Reply::Refused(reason) | Reply::HasThreads(reason))) => {
                    process.refused = Some(reason);
                    return Heard::All;
                }
                Ok(Some(_)) => {
                    process.kill(Fate::Unready("sent a handshake that is none of a worker's".to_owned()));
                    return Heard::All;
                }
                // The other end is closed: its exit, which comes now, tells why. That is no refusal, after which no other
                // worker would be tried.
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    return Heard::All;
                }
                Err(error) => {
                    process.kill(Fate::Unready(format!("sent a handshake that cannot be read: {error}")));
                    return Heard::All;
                }
            }
        }
    }
}

/// How much of what a starting worker says has been read.
enum Heard {
    /// There will be more, or something has to be known first.
    Part,
    /// All: it is ready, and nothing is against it.
    Ready,
    /// All: it is not to be used.
    All,
}
