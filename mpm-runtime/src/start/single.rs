//! What a process does that runs one job, and how it tells of it. Its parent need not listen meanwhile: what is told lies in the
//! socket.

use std::io;
use std::os::fd::AsFd;

use super::child::RunOne;
use super::handshake::{Reply, send};
use super::parcel::Parcel;
use crate::codec::NoValue;
use crate::error::{Phase, WorkerExit};
use crate::registry::Registration;
use crate::sys::{Socket, fault_point, say};

/// One job.
pub(super) struct Single {
    pub(super) socket: Socket,
    pub(super) registration: &'static Registration,
    pub(super) arguments: Vec<u8>,
}

/// The exit code of a process whose job panicked: what Rust programs exit with then.
const PANICKED: i32 = 101;

impl Single {
    /// Runs the job and tells how it ended; returns the exit code.
    pub(super) fn run(self, run_one: RunOne) -> i32 {
        let tell = |phase: Phase| {
            tell_phase(&self.socket, phase);
            fault_point(match phase {
                Phase::Building => "building",
                Phase::Running => "running",
                Phase::Encoding => "encoding",
                _ => "sending",
            });
        };
        tell_end(&self.socket, run_one(self.registration, &self.arguments, &tell))
    }
}

/// Tells the parent how far the work of this process has come, which it needs for the report of a death.
pub(crate) fn tell_phase(socket: &Socket, phase: Phase) {
    // Nobody may be there to read it.
    drop(send(socket, &Reply::Reached(phase as u32), &[]));
}

/// Tells the parent how the work of this process ended; returns its exit code.
pub(crate) fn tell_end(socket: &Socket, ended: Result<Vec<u8>, NoValue>) -> i32 {
    let (text, code) = match &ended {
        Ok(_) => (Ok(Vec::new()), 0),
        Err(reason) => (postcard::to_stdvec(reason).map_err(io::Error::other), PANICKED),
    };
    let told = text.and_then(|text| {
        let (parcel, memory) = Parcel::pack(ended.as_ref().map_or(&text, |value| value))?;
        let reply = if ended.is_ok() { Reply::Returned(parcel) } else { Reply::Ended(parcel) };
        send(socket, &reply, memory.iter().map(AsFd::as_fd).collect::<Vec<_>>().as_slice())
    });
    if let Err(error) = told {
        say(&format!("mpm: the result of this process is lost: {error}"));
        return WorkerExit::LinkDamaged.code();
    }
    code
}
