//! A process that was started, and what is known of it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::codec::NoValue;
use crate::error::{DataError, Death, DidRun, EndReason, Error, HowItEnded, JobError, Kind, Panicked, Phase, Result};
use crate::start::{Capture, Reply, StartMethod, how, read_reply};
use crate::sys::{Exit, Pidfd, Socket, is_own_want};

/// How long the starting thread may take to reap a process that has ended. Only one that is not there any more takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// One process; all its handles share this.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) name: Arc<str>,
    pub(super) target: &'static str,
    pub(super) method: StartMethod,
    pub(super) daemon: bool,
    pub(super) pid: u32,
    pub(super) pidfd: Pidfd,
    /// The process that started it, and not a copy of that.
    pub(super) owner: u32,
    /// Its number with the starting thread, once it has one.
    number: OnceLock<u64>,
    started: Instant,
    socket: Socket,
    capture: Option<Capture>,
    /// How it ended: written once, by the starting thread.
    ended: Mutex<Option<Ended>>,
    has_ended: Condvar,
    /// What it sent last, once somebody has looked; the value is gone when somebody has taken it.
    outcome: Mutex<Option<std::result::Result<Option<Vec<u8>>, JobError>>>,
}

#[derive(Clone, Debug)]
struct Ended {
    exit: Exit,
    stderr: Vec<String>,
    after: Duration,
}

/// What a process is called and how it was made.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: Arc<str>,
    pub(super) target: &'static str,
    pub(super) method: StartMethod,
    pub(super) daemon: bool,
}

impl Running {
    pub(super) fn new(identity: Identity, pid: u32, pidfd: Pidfd, socket: Socket, capture: Option<Capture>) -> Self {
        let Identity { name, target, method, daemon } = identity;
        let (owner, started) = (std::process::id(), Instant::now());
        let number = OnceLock::new();
        let (ended, has_ended, outcome) = (Mutex::default(), Condvar::new(), Mutex::default());
        Self { name, target, method, daemon, pid, pidfd, owner, number, started, socket, capture, ended, has_ended, outcome }
    }

    pub(super) fn is_minded_as(&self, number: u64) {
        let _ = self.number.set(number);
    }

    /// Its number with the starting thread; 0 is nobody's.
    pub(super) fn number(&self) -> u64 {
        self.number.get().copied().unwrap_or_default()
    }

    /// The starting thread has reaped it.
    pub(super) fn note_end(&self, exit: Exit) {
        let stderr = self.capture.as_ref().map(Capture::finish).unwrap_or_default();
        *self.lock() = Some(Ended { exit, stderr, after: self.started.elapsed() });
        self.has_ended.notify_all();
    }

    /// How it ended. What its pidfd tells already is waited for: the starting thread is about to reap it.
    pub(super) fn exit_status(&self) -> Option<HowItEnded> {
        let known = self.lock().as_ref().map(|ended| how(ended.exit));
        if known.is_some() || self.owner != std::process::id() || !self.pidfd.has_ended() {
            return known;
        }
        self.wait(Instant::now().checked_add(PATIENCE))
    }

    /// Waits for its end, until the given moment or for ever.
    pub(super) fn wait(&self, until: Option<Instant>) -> Option<HowItEnded> {
        let mut ended = self.lock();
        loop {
            if let Some(ended) = &*ended {
                return Some(how(ended.exit));
            }
            ended = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(left) => self.has_ended.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.has_ended.wait(ended).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The last lines that it wrote to standard error, once it has ended.
    pub(super) fn last_words(&self) -> Vec<String> {
        self.lock().as_ref().map(|ended| ended.stderr.clone()).unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// In a copy of the process that started it there is nobody who would see its end.
    pub(super) fn check_owner(&self) -> Result<()> {
        if self.owner == std::process::id() {
            return Ok(());
        }
        let text = format!("process {} was started by the process with pid {}, of which this one is a copy", self.name, self.owner);
        Err(Error::new(Kind::Setting, text))
    }

    /// After its end: what its job returned, for the one who takes it; others learn only that it returned.
    pub(super) fn outcome(&self, take: bool) -> std::result::Result<Vec<u8>, JobError> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome.get_or_insert_with(|| self.read_outcome().map(Some)) {
            Ok(value) if take => value.take().ok_or(JobError::Taken),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error.clone()),
        }
    }

    fn read_outcome(&self) -> std::result::Result<Vec<u8>, JobError> {
        let mut phase = Phase::Claimed;
        loop {
            match read_reply(&self.socket) {
                Ok(Some((Reply::Reached(number), _))) => phase = Phase::from_u32(number),
                Ok(Some((Reply::Returned(parcel), mut memory))) => return parcel.open(&mut memory).map_err(|e| self.lost(&e)),
                Ok(Some((Reply::Ended(parcel), memory))) => return Err(self.no_value(parcel.open(&mut { memory }))),
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.death(phase)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.death(phase)),
                // It came with memory, for whose descriptor there is no room here.
                Err(error) if is_own_want(&error) => return Err(self.lost(&error)),
                Err(_) => return Err(self.death(Phase::Running)),
            }
        }
    }

    fn lost(&self, error: &io::Error) -> JobError {
        self.bad_data(format!("its result cannot be taken over, and is lost: {error}"), false)
    }

    fn no_value(&self, encoded: io::Result<Vec<u8>>) -> JobError {
        let read = encoded.map_err(|e| e.to_string());
        match read.and_then(|bytes| postcard::from_bytes(&bytes).map_err(|e| e.to_string())) {
            Ok(NoValue::Panicked(panic)) => JobError::Panicked(Box::new(Panicked {
                message: panic.message,
                location: panic.location,
                backtrace: panic.backtrace,
                worker: self.name.to_string(),
                pid: self.pid,
                target: self.target,
                job: 0,
                tag: None,
                attempt: 1,
            })),
            Ok(NoValue::NotBuilt(unbuilt)) => {
                JobError::NotBuilt(Box::new(unbuilt.into_report(&self.name, self.pid, self.target, 0)))
            }
            Ok(NoValue::BadArguments(reason)) => JobError::Decode(self.data_error(reason, true)),
            Ok(NoValue::BadResult(reason)) => JobError::Encode(self.data_error(reason, true)),
            Err(reason) => self.bad_data(format!("its report cannot be read: {reason}"), false),
        }
    }

    fn data_error(&self, reason: String, in_worker: bool) -> Box<DataError> {
        Box::new(DataError { job: 0, target: self.target, reason, in_worker })
    }

    /// Bytes came that are no value.
    pub(super) fn bad_data(&self, reason: String, in_worker: bool) -> JobError {
        JobError::Decode(self.data_error(reason, in_worker))
    }

    fn death(&self, phase: Phase) -> JobError {
        let ended = self.lock().clone();
        let (exit, stderr, after) = ended.map_or_else(
            || (Exit { status: None, max_rss: 0 }, Vec::new(), self.started.elapsed()),
            |ended| (ended.exit, ended.stderr, ended.after),
        );
        JobError::Died(Box::new(Death {
            worker: self.name.to_string(),
            pid: self.pid,
            how: how(exit),
            out_of_memory: None,
            phase,
            did_run: if phase == Phase::Claimed { DidRun::No } else { phase.did_run() },
            target: self.target,
            job: 0,
            tag: None,
            attempt: 1,
            elapsed: after,
            max_rss: exit.max_rss,
            stderr,
            ended_by_pool: None,
            reason: EndReason::Died,
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
