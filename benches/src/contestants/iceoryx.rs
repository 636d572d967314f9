//! iceoryx2: requests and responses between two processes, which poll or wait for events.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use iceoryx2::port::{client::Client, listener::Listener, notifier::Notifier, server::Server};
use iceoryx2::prelude::*;

use super::measure::Contestant;
use crate::work::{self, MIB};

type Numbers = Client<ipc::Service, u64, (), u64, ()>;
type Bytes = Client<ipc::Service, [u8], (), [u8], ()>;
type Looks = Client<ipc::Service, [u8], (), u64, ()>;

fn name(names: &str, what: &str) -> ServiceName {
    ServiceName::new(&format!("mpm-benches/{names}/{what}")).expect("a name")
}

/// How one side tells the other that something has come, and waits for it.
struct Waiting {
    polls: bool,
    notifier: Notifier<ipc::Service>,
    listener: Listener<ipc::Service>,
}

impl Waiting {
    fn new(node: &Node<ipc::Service>, names: &str, waits: &str, [theirs, ours]: [&str; 2]) -> Self {
        let event = |what| node.service_builder(&name(names, what)).event().open_or_create().expect("an event");
        let notifier = event(theirs).notifier_builder().create().expect("a notifier");
        let listener = event(ours).listener_builder().create().expect("a listener");
        Self { polls: waits == "polling", notifier, listener }
    }

    fn tell(&self) {
        if !self.polls {
            self.notifier.notify().expect("notify");
        }
    }

    fn until<T>(&self, mut come: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(it) = come() {
                return it;
            }
            if self.polls {
                std::hint::spin_loop();
            } else {
                self.listener.blocking_wait(|_| {}).expect("wait");
            }
        }
    }
}

/// The caller's end of the service that suits the measure.
enum End {
    Numbers(Numbers),
    Bytes(Bytes),
    Looks(Looks),
}

pub(super) struct Services {
    end: End,
    waiting: Waiting,
    worker: Child,
    _node: Node<ipc::Service>,
}

macro_rules! service {
    ($node:expr, $names:expr, $request:ty, $response:ty) => {
        $node.service_builder(&name($names, "calls")).request_response::<$request, $response>().open_or_create().expect("a service")
    };
}

impl Services {
    pub(super) fn new(measure: &str, waits: &str) -> Self {
        set_log_level(LogLevel::Error);
        let names = format!("{}-{measure}", std::process::id());
        let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
        let waiting = Waiting::new(&node, &names, waits, ["worker", "caller"]);
        let end = match measure {
            "echo-1" | "echo-16" => {
                let service = service!(node, &names, [u8], [u8]);
                End::Bytes(service.client_builder().initial_max_slice_len(16 * MIB).create().expect("a client"))
            }
            "borrowed-1" | "borrowed-16" => {
                let service = service!(node, &names, [u8], u64);
                End::Looks(service.client_builder().initial_max_slice_len(16 * MIB).create().expect("a client"))
            }
            _ => End::Numbers(service!(node, &names, u64, u64).client_builder().create().expect("a client")),
        };
        let program = std::env::current_exe().expect("this program");
        let mut worker = Command::new(program);
        worker.args(["serve", "iceoryx2", &names, measure, waits]).stdout(Stdio::piped());
        let mut worker = worker.spawn().expect("a worker");
        let mut ready = String::new();
        BufReader::new(worker.stdout.as_mut().expect("a pipe")).read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        Self { end, waiting, worker, _node: node }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.worker.kill().and_then(|()| self.worker.wait()).expect("it is ours");
        // Nobody else removes the files of one that was killed.
        let remove = |node| {
            if let NodeState::Dead(view) = node {
                view.try_remove_stale_resources().expect("they are ours");
            }
            CallbackProgression::Continue
        };
        Node::<ipc::Service>::list(Config::global_config(), remove).expect("nodes can be listed");
    }
}

impl Contestant for Services {
    fn add(&mut self, seed: u32) -> u32 {
        let End::Numbers(client) = &self.end else { panic!("made for bytes") };
        let pending = client.send_copy(u64::from(seed)).expect("send");
        self.waiting.tell();
        *self.waiting.until(|| pending.receive().expect("receive")) as u32
    }

    /// Three copies: into the request, from there into the response, and out of that.
    fn echo(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let End::Bytes(client) = &self.end else { panic!("made for numbers") };
        let request = client.loan_slice_uninit(bytes.len()).expect("a loan").write_from_slice(&bytes);
        let pending = request.send().expect("send");
        self.waiting.tell();
        bytes.copy_from_slice(self.waiting.until(|| pending.receive().expect("receive")).payload());
        bytes
    }

    fn look_at(&mut self, bytes: &[u8]) -> u64 {
        let End::Looks(client) = &self.end else { panic!("made for numbers") };
        let request = client.loan_slice_uninit(bytes.len()).expect("a loan").write_from_slice(bytes);
        let pending = request.send().expect("send");
        self.waiting.tell();
        *self.waiting.until(|| pending.receive().expect("receive"))
    }

    fn pids(&mut self) -> Vec<u32> {
        vec![self.worker.id()]
    }
}

/// Serves until it is killed.
pub(super) fn serve(names: &str, measure: &str, waits: &str) {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
    let waiting = Waiting::new(&node, names, waits, ["caller", "worker"]);
    let ready = || println!("ready");
    match measure {
        "echo-1" | "echo-16" => {
            let service = service!(node, names, [u8], [u8]);
            let server: Server<ipc::Service, [u8], (), [u8], ()> =
                service.server_builder().initial_max_slice_len(16 * MIB).create().expect("a server");
            ready();
            loop {
                let request = waiting.until(|| server.receive().expect("receive"));
                let bytes = request.payload();
                let response = request.loan_slice_uninit(bytes.len()).expect("a loan").write_from_slice(bytes);
                response.send().expect("send");
                waiting.tell();
            }
        }
        "borrowed-1" | "borrowed-16" => {
            let server = service!(node, names, [u8], u64).server_builder().create().expect("a server");
            ready();
            loop {
                let request = waiting.until(|| server.receive().expect("receive"));
                request.send_copy(work::look_at(request.payload())).expect("send");
                waiting.tell();
            }
        }
        _ => {
            let server = service!(node, names, u64, u64).server_builder().create().expect("a server");
            ready();
            loop {
                let request = waiting.until(|| server.receive().expect("receive"));
                request.send_copy(u64::from(work::add(*request as u32))).expect("send");
                waiting.tell();
            }
        }
    }
}
