//! ipc-channel: a worker by hand, with the channel that suits the measure.

use std::process::{Child, Command};

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use super::measure::Contestant;
use crate::work;

/// The caller's ends, made by the worker.
#[derive(Serialize, Deserialize)]
struct Ends {
    seeds: IpcSender<u32>,
    sums: IpcReceiver<u32>,
    bytes: IpcBytesSender,
    echoes: IpcBytesReceiver,
    looks: IpcReceiver<u64>,
}

pub(super) struct Channels {
    worker: Child,
    ends: Ends,
}

impl Channels {
    pub(super) fn new(measure: &str) -> Self {
        let (server, name) = IpcOneShotServer::<Ends>::new().expect("a server");
        let program = std::env::current_exe().expect("this program");
        let worker = Command::new(program).args(["serve", "ipc-channel", &name, measure]).spawn().expect("a worker");
        Self { worker, ends: server.accept().expect("a worker").1 }
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.worker.kill().and_then(|()| self.worker.wait()).expect("it is ours");
    }
}

impl Contestant for Channels {
    fn add(&mut self, seed: u32) -> u32 {
        self.ends.seeds.send(seed).expect("send");
        self.ends.sums.recv().expect("receive")
    }

    fn echo(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.ends.bytes.send(&bytes).expect("send");
        self.ends.echoes.recv().expect("receive")
    }

    fn look_at(&mut self, bytes: &[u8]) -> u64 {
        self.ends.bytes.send(bytes).expect("send");
        self.ends.looks.recv().expect("receive")
    }

    fn pids(&mut self) -> Vec<u32> {
        vec![self.worker.id()]
    }
}

/// Serves until the caller is gone.
pub(super) fn serve(server: &str, measure: &str) {
    let (seeds, asked) = ipc::channel().expect("a channel");
    let (answer, sums) = ipc::channel().expect("a channel");
    let (bytes, sent) = ipc::bytes_channel().expect("a channel");
    let (send_back, echoes) = ipc::bytes_channel().expect("a channel");
    let (tell, looks) = ipc::channel().expect("a channel");
    let ends = Ends { seeds, sums, bytes, echoes, looks };
    IpcSender::connect(server.to_owned()).expect("a caller").send(ends).expect("send");
    // Until the caller has gone, which may be in the middle of an answer.
    match measure {
        "echo-1" | "echo-16" => std::iter::from_fn(|| sent.recv().ok()).all(|bytes| send_back.send(&bytes).is_ok()),
        "borrowed-1" | "borrowed-16" => {
            std::iter::from_fn(|| sent.recv().ok()).all(|bytes| tell.send(work::look_at(&bytes)).is_ok())
        }
        _ => std::iter::from_fn(|| asked.recv().ok()).all(|seed| answer.send(work::add(seed)).is_ok()),
    };
}
