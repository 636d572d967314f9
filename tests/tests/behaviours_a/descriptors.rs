//! Behaviours, group A, numbers 17, 18 and 20: descriptors that a child has and has not. Each for every start method.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::{env, thread};

use mpm::{Process, StartMethod, WorkerExit, worker};
use mpm_tests::{Gate, children_of, close_descriptor, open_at, report, templates_of};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::methods::{Program, add, pass, pool, process};

conform! {
    a17_no_stray_descriptors,
    a17_no_stray_descriptors_in_what_a_child_starts,
    a18_what_starts_processes_is_open_to_nobody_else,
    a20_broken_streams_of_the_parent,
    a20_broken_streams_of_the_child,
}

/// What `/proc` says of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Descriptor {
    number: i32,
    target: String,
    reads: bool,
    writes: bool,
    /// Of a pidfd.
    pid: Option<u32>,
}

#[worker]
fn descriptors() -> Vec<Descriptor> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let numbers: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // That of the listing itself is closed by now.
    numbers.iter().filter_map(|number| describe(number).ok()).collect()
}

fn describe(number: &str) -> io::Result<Descriptor> {
    let target = fs::read_link(format!("/proc/self/fd/{number}"))?.to_string_lossy().into_owned();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let field = |name: &str| info.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
    let mode = i32::from_str_radix(field("flags:").unwrap(), 8).unwrap() & libc::O_ACCMODE;
    let (reads, writes) = (mode != libc::O_WRONLY, mode != libc::O_RDONLY);
    // Of a process that has ended it is no number.
    let pid = field("Pid:").and_then(|pid| pid.parse().ok());
    Ok(Descriptor { number: number.parse().unwrap(), target, reads, writes, pid })
}

/// Checks what a child has. `users` is what its parent had before mpm came, `parents` what it has now, `bells` of how many pools the
/// child is a worker.
fn check_child(method: StartMethod, users: &[Descriptor], parents: &[Descriptor], child: &[Descriptor], bells: usize) {
    let place = format!("\nusers {users:#?}\nparents {parents:#?}\nchild {child:#?}");
    let is_users = |d: &&Descriptor| users.iter().any(|user| (user.number, &user.target) == (d.number, &d.target));
    let inherited = child.iter().filter(|d| d.number > 2).filter(is_users).count();
    let all = users.iter().filter(|d| d.number > 2).count();
    assert_eq!(inherited, if method == StartMethod::Fork { all } else { 0 }, "{place}");

    let own: Vec<_> = child.iter().filter(|d| !is_users(d)).collect();
    let of_kind = |kind: &str| own.iter().filter(|d| d.target.starts_with(kind)).collect::<Vec<_>>();
    let sockets: BTreeSet<_> = of_kind("socket:").into_iter().map(|d| &d.target).collect();
    assert_eq!(sockets.len(), 1, "{place}");
    assert!(!parents.iter().any(|d| sockets.contains(&d.target)), "an end of a link that is the parent's: {place}");
    assert!(of_kind("anon_inode:[event").is_empty(), "{place}");
    let pids: BTreeSet<_> = own.iter().filter_map(|d| d.pid).collect();
    assert_eq!(pids, BTreeSet::from([std::process::id()]), "of other processes than the parent: {place}");

    // A pipe of which the parent has the one end it reads from: standard error. Both: the lifeline, which its children read, or the
    // bell of a pool, which its workers ring.
    let ends = |pipe: &str| {
        let of_parent = || parents.iter().filter(|d| d.target == pipe);
        (of_parent().any(|d| d.reads), of_parent().any(|d| d.writes))
    };
    let stderr = child.iter().find(|d| d.number == 2).unwrap();
    let (mut lifelines, mut rung) = (BTreeSet::new(), BTreeSet::new());
    for pipe in of_kind("pipe:").into_iter().filter(|d| d.number > 2) {
        match (pipe.reads, ends(&pipe.target)) {
            (_, (false, false)) if pipe.target != stderr.target => {}
            (true, (true, true)) => drop(lifelines.insert(&pipe.target)),
            (false, (true, true)) => drop(rung.insert(&pipe.target)),
            _ => panic!("{pipe:?} does not belong here: {place}"),
        }
    }
    assert!(lifelines.len() == 1 && rung.len() == bells && lifelines.is_disjoint(&rung), "{place}");
}

fn a17_no_stray_descriptors(method: StartMethod) {
    let file = File::open("/dev/zero").unwrap();
    open_at(file.as_fd(), 400);
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path(), "gate");
    let path = gate.path();
    let users = descriptors();
    assert!(users.iter().any(|d| d.number == 400));
    // Neighbours, of which nothing shall be seen.
    let neighbours = pool(method, 2);
    let sibling = process(method, pass::job(&path)).start().unwrap();
    gate.wait_for(1);
    assert_eq!(neighbours.run(add::job(1, 2)).unwrap(), 3);
    let of_process = process(method, descriptors::job()).start().unwrap().wait().unwrap();
    let late = pool(method, 1);
    let of_worker = late.run(descriptors::job()).unwrap();
    let parents = descriptors();
    // Before anything is asserted: copies of this process hold the gate's lock too.
    gate.open();
    check_child(method, &users, &parents, &of_process, 0);
    check_child(method, &users, &parents, &of_worker, 1);
    assert!(sibling.wait().is_ok());
}

/// What the child of a child has, and what that child had: before, and when it had started it.
#[worker]
fn descriptors_below(method: StartMethod) -> [Vec<Descriptor>; 3] {
    let before = descriptors();
    let started = process(method, descriptors::job()).start().unwrap();
    let now = descriptors();
    [before, now, started.wait().unwrap()]
}

/// A child gives to its own children nothing of the link to its parent.
fn a17_no_stray_descriptors_in_what_a_child_starts(method: StartMethod) {
    let pool = pool(method, 1);
    let outer = process(method, descriptors_below::job(method)).start().unwrap().wait().unwrap();
    for [before, now, below] in [outer, pool.run(descriptors_below::job(method)).unwrap()] {
        let links: Vec<_> = before.iter().filter(|d| d.number > 2 && d.target.starts_with("socket:")).collect();
        assert_eq!(links.len(), 1, "{before:#?}");
        let seen = below.iter().find(|d| now.iter().any(|other| other.target == d.target && d.target.starts_with("socket:")));
        assert_eq!(seen, None, "{below:#?}");
    }
}

/// There is nothing to connect to: the sockets between program, template and worker have no name. Whoever starts the program by
/// hand with a token that looks right is refused, with or without something at the descriptor that it names.
fn a18_what_starts_processes_is_open_to_nobody_else(method: StartMethod) {
    let name = thread::current().name().unwrap().to_owned();
    let stranger = |token: &str, stdin: Stdio| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &name, "--nocapture", "--test-threads=1", token]).stdin(stdin);
        command.output().unwrap()
    };
    for role in ["worker", "template"] {
        for (descriptor, nonce) in [(3, "00000000000000ff"), (0, "1"), (77, "ffffffffffffffff"), (-1, "0")] {
            let (_ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let output = stranger(&format!("mpm-{role}:{descriptor}:{nonce}"), OwnedFd::from(theirs).into());
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(WorkerExit::TokenSpent.code()), "{text}");
            assert!(text.contains("belongs to a worker process"), "{text}");
        }
    }
    let pool = pool(method, 1);
    assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
    let me = std::process::id();
    let processes = [vec![me], templates_of(me), children_of(me)].concat();
    assert_eq!(processes.len(), if method == StartMethod::Spawn { 2 } else { 3 });
    let sockets: BTreeSet<String> = processes.iter().flat_map(|pid| sockets_of(*pid)).collect();
    assert!(!sockets.is_empty());
    let listing = fs::read_to_string("/proc/net/unix").unwrap();
    // Number, reference count, protocol, flags, type, state, inode, and the name, if it has one.
    for line in listing.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert!(!sockets.contains(fields[6]) || fields.len() == 7, "{line}");
    }
}

fn sockets_of(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

fn a20_broken_streams_of_the_parent(method: StartMethod) {
    for closed in ["0", "1", "2", "012"] {
        let mut program = Program::start(closed, |folder, closed| {
            closed.bytes().for_each(|digit| close_descriptor(i32::from(digit - b'0')));
            let started = process(method, chatter::job()).start().unwrap();
            assert_eq!(started.join().unwrap().code(), Some(0));
            assert_eq!(started.wait().unwrap(), 3);
            let pool = pool(method, 2);
            for _ in 0..4 {
                assert_eq!(pool.run(chatter::job()).unwrap(), 3);
            }
            pool.join();
            report(folder, "done");
        });
        assert_eq!(program.doomed.wait_report(), "done", "{closed}");
        assert!(program.doomed.wait().success(), "{closed}: {}", program.doomed.output());
    }
}

/// Writes to both streams, and tells how many standard streams it has.
#[worker]
fn chatter() -> usize {
    println!("to standard output");
    eprintln!("to standard error");
    (0..3).filter(|number| describe(&number.to_string()).is_ok()).count()
}

/// Closes its standard streams, those that are named.
#[worker]
fn close(streams: Vec<i32>) -> u64 {
    streams.into_iter().for_each(close_descriptor);
    println!("nobody hears this");
    eprintln!("nor that");
    7
}

/// Leaves a text in the buffer of standard output, which is written out at the exit.
#[worker]
fn mutter() -> u64 {
    print!("not a whole line");
    7
}

fn a20_broken_streams_of_the_child(method: StartMethod) {
    for streams in [vec![0], vec![1], vec![2], vec![0, 1, 2]] {
        let started = process(method, close::job(streams.clone())).start().unwrap();
        assert_eq!(started.join().unwrap().code(), Some(0), "{streams:?}");
        assert_eq!(started.wait().unwrap(), 7);
        let pool = pool(method, 1);
        assert_eq!(pool.run(close::job(streams)).unwrap(), 7);
        assert_eq!(pool.run(add::job(1, 2)).unwrap(), 3);
        pool.join();
    }
    // Streams on whose other end nobody is any more, from the beginning.
    let broken = || io::pipe().map(|(_read, write)| write).unwrap();
    let with = |started: mpm::Result<Process<u64>>| {
        let started = started.unwrap();
        assert_eq!(started.join().unwrap().code(), Some(0));
        assert_eq!(started.wait().unwrap(), 7);
    };
    with(process(method, mutter::job()).stdout(broken()).start());
    with(process(method, mutter::job()).stdout(broken()).stderr(broken()).start());
    with(process(method, mutter::job()).stdin(io::pipe().unwrap().0).start());
    let full = File::options().write(true).open("/dev/full").unwrap();
    with(process(method, mutter::job()).stdout(full.try_clone().unwrap()).stderr(full).start());
    io::stdout().flush().unwrap();
}
