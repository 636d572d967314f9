//! Why a started process does not become what it was started for, and how it tells of it and ends.

use std::io::ErrorKind;

use super::child::LONGEST_TEXT;
use super::handshake::{Reply, send};
use crate::error::WorkerExit;
use crate::sys::{Socket, exit_now, say};

/// Why a process does not become what it was started for.
pub(super) struct Refusal {
    exit: WorkerExit,
    reply: Option<Reply>,
    reason: String,
}

impl Refusal {
    pub(super) fn handshake(reason: String) -> Self {
        let mut told = reason.clone();
        told.truncate(told.floor_char_boundary(LONGEST_TEXT));
        Self { exit: WorkerExit::HandshakeFailed, reply: Some(Reply::Refused(told)), reason }
    }

    pub(super) fn threads(reason: String) -> Self {
        Self { exit: WorkerExit::HandshakeFailed, reply: Some(Reply::HasThreads(reason.clone())), reason }
    }

    #[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
    pub(super) fn no_handshake(error: std::io::Error) -> Self {
        let reason = format!("no handshake from the parent: {error}");
        match error.kind() {
            ErrorKind::UnexpectedEof => Self { exit: WorkerExit::ParentGone, reply: None, reason },
            _ => Self::handshake(reason),
        }
    }

    /// The lifeline cannot be armed.
    pub(super) fn untied(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self { exit: WorkerExit::ParentGone, reply: None, reason: "the parent is gone".to_owned() },
            _ => Self::handshake(format!("it cannot be tied to its parent: {error}")),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
    pub(super) fn not_heard(error: std::io::Error) -> Self {
        Self { exit: WorkerExit::ParentGone, reply: None, reason: format!("the parent does not listen: {error}") }
    }

    /// Tells the parent, as far as it listens.
    pub(super) fn tell(&self, socket: &Socket) {
        if let Some(reply) = &self.reply {
            drop(send(socket, reply, &[]));
        }
    }

    pub(super) fn end(self) -> ! {
        // With threads, the parent has been told, and goes another way where nobody has chosen this one.
        if !matches!(self.reply, Some(Reply::HasThreads(_))) {
            say(&format!("mpm: worker not started: {}", self.reason));
        }
        exit_now(self.exit.code())
    }
}
