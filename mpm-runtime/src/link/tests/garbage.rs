//! A parent's end that is fed garbage: whatever stands in the worker's memory, it answers with a response, with nothing,
//! or with a violation, and never reads or writes outside of its own.
//!
//! The number of rounds is `MPM_GARBAGE_ROUNDS`, by default 20 000; `MPM_GARBAGE_ROUNDS=1000000` is the release check.

use std::os::fd::AsFd;

use super::parent::{Parent, alone, whole};
use crate::link::layout::{Layout, PAGE};
use crate::link::{NoRoom, Received, Shelf};
use crate::sys::{Access, Mapping, Memfd, Pipe, Socket};

/// A generator whose seed is printed with a failure.
struct Random(u64);

impl Random {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The memory that a worker can write.
fn worker_memory(fds: &crate::link::memory::LinkFds) -> Mapping {
    let [_, responses] = fds.as_fds();
    let memfd = Memfd::adopt(responses.as_fd().try_clone_to_owned().unwrap());
    Mapping::new(&memfd, Layout::STANDARD.responses_len(), Access::ReadWrite).unwrap()
}

/// A word that is often nearly right: small, or near a limit, or anything.
fn word(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => random.below(4),
        1 => random.below(200) * 8,
        2 => (Layout::STANDARD.ring as u64).wrapping_add(random.below(64)).wrapping_sub(32),
        3 => u64::MAX - random.below(64),
        4 => random.below(4) | random.below(4) << 32,
        _ => random.next(),
    }
}

/// What an honest worker would write for the oldest request, so that garbage also comes in the company of truth.
fn answer(memory: &Mapping, done: u32, published: u32, head: u64, len: u64) {
    let claim = u64::from(done + 1) | u64::from(published) << 32;
    memory.write(0, &claim.to_le_bytes());
    let frame = [u64::from(done) | 1 << 32, 0, len, 12345];
    let bytes: Vec<u8> = frame.iter().flat_map(|word| word.to_le_bytes()).chain((0..len).map(|_| 7)).collect();
    for (i, byte) in bytes.iter().enumerate() {
        memory.write(PAGE + (head as usize + i) % Layout::STANDARD.ring, &[*byte]);
    }
    memory.write(64, &(head + 32 + len.next_multiple_of(8)).to_le_bytes());
}

fn scribble(memory: &Mapping, head: u64, random: &mut Random) {
    if random.below(16) == 0 {
        // The whole of it.
        let bytes: Vec<u8> = (0..memory.len() / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        memory.write(0, &bytes);
    }
    for _ in 0..random.below(3) {
        // A word of the page, one line each: claim, tail, bell, phase, started.
        memory.write(random.below(5) as usize * 64, &word(random).to_le_bytes());
    }
    for _ in 0..random.below(3) {
        // A word of the next frames.
        let at = (head as usize + random.below(8) as usize * 8) % Layout::STANDARD.ring;
        memory.write(PAGE + at, &word(random).to_le_bytes());
    }
}

/// Takes all responses and returns how many there were and the ring bytes they took. At most as many as requests, then
/// nothing or a violation: the loop ends.
fn take_all(parent: &mut Parent) -> Result<Vec<u64>, String> {
    let most = parent.in_flight() as usize;
    let mut taken = Vec::new();
    while let Some((_, bytes)) = parent.next_response().map_err(|violation| violation.0)? {
        let bytes = bytes.and_then(Received::into_bytes).expect("no descriptors come with garbage");
        assert!(bytes.len() <= Layout::STANDARD.ring);
        taken.push(32 + bytes.len().next_multiple_of(8) as u64);
        assert!(taken.len() <= most, "{} answers to {most} requests", taken.len());
    }
    Ok(taken)
}

/// Takes jobs back and checks that they are whole: what comes back was written by the parent alone.
fn take_back(parent: &mut Parent, keep: u32, round: u64) -> Result<u32, String> {
    let jobs = whole(parent.take_back(keep).map_err(|violation| violation.0)?);
    for (job, bytes) in &jobs {
        assert!(*job <= round && bytes.iter().all(|b| *b == *job as u8), "job {job} came back with other bytes");
    }
    Ok(jobs.len() as u32)
}

#[test]
fn garbage_is_a_violation_or_a_response_and_never_more() {
    let _alone = alone();
    let rounds: u64 = std::env::var("MPM_GARBAGE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let (mut violations, mut responses, mut back) = (0u64, 0u64, 0u64);
    let mut random = Random(0x006D_706D);
    let mut round = 0;
    let shelf = Shelf::new(1);
    while round < rounds {
        let (mut parent, fds, _socket) = Parent::create(&shelf);
        let memory = worker_memory(&fds);
        let (mut done, mut published, mut head) = (0u32, 0u32, 0u64);
        // Until the first violation: a real parent ends the worker then.
        while round < rounds {
            round += 1;
            let large = random.below(64) == 0;
            let payload = vec![round as u8; random.below(if large { 100_000 } else { 64 }) as usize];
            match parent.write(0, round, 1, &payload) {
                Ok(_) => published += 1,
                Err(NoRoom::Full) => {}
                Err(NoRoom::Failed(error)) => panic!("{error}"),
            }
            if parent.publish().is_err() {
                violations += 1;
                break;
            }
            if published > done && random.below(2) == 0 {
                answer(&memory, done, published, head, random.below(100));
            }
            if random.below(4) == 0 {
                scribble(&memory, head, &mut random);
            }
            let step = take_all(&mut parent).and_then(|taken| {
                done += taken.len() as u32;
                head += taken.iter().sum::<u64>();
                responses += taken.len() as u64;
                let keep = random.below(8) as u32;
                take_back(&mut parent, keep, round)
            });
            let _ = (parent.was_running(), parent.unclaimed(), parent.last_words(), parent.claim());
            match step {
                Ok(taken) => {
                    published -= taken;
                    back += u64::from(taken);
                }
                Err(text) => {
                    assert!(!text.is_empty());
                    violations += 1;
                    break;
                }
            }
        }
    }
    println!("{round} rounds: {violations} violations, {responses} responses, {back} taken back");
    let all_seen = violations > rounds / 20 && responses > rounds / 20 && back > 0;
    assert!(all_seen, "garbage must meet every answer: {violations} violations, {responses} responses, {back} taken back");
}

/// A link whose worker has answered its one request with `len` bytes in segment 1, and the worker's end of its socket.
fn answered_in_segment(len: u64) -> (Parent, Socket) {
    let (mut parent, fds, socket) = Parent::create(&Shelf::new(1));
    let memory = worker_memory(&fds);
    parent.push(0, 1, 1, b"x").unwrap();
    memory.write(0, &(1u64 | 1 << 32).to_le_bytes());
    memory.write(PAGE, &[1 << 32, 1, len, 0u64].map(u64::to_le_bytes).concat());
    memory.write(64, &32u64.to_le_bytes());
    (parent, socket)
}

/// Announces segment 1 of `capacity` bytes by `fd`.
fn announce(socket: &Socket, capacity: u64, fd: impl AsFd) {
    let message = [1, capacity].map(u64::to_le_bytes).concat();
    socket.send(&message, &[fd.as_fd()]).unwrap();
}

fn sealed(memfd: &Memfd) -> &Memfd {
    memfd.seal(true).unwrap();
    memfd
}

/// What a worker sends that has answered, by its socket and about a segment of a page that has no seals yet.
type Sent = fn(&Socket, &Memfd);

/// What the parent makes of it, for a response of `len` bytes.
fn made_of(len: u64, sent: Sent) -> Result<Vec<u8>, String> {
    let (mut parent, socket) = answered_in_segment(len);
    sent(&socket, &Memfd::reserved(c"garbage", PAGE).unwrap());
    let (_, payload) = parent.next_response().map_err(|violation| violation.0)?.unwrap();
    Ok(payload.and_then(Received::into_bytes).expect("this process wants for nothing").to_vec())
}

#[test]
fn a_large_response_whose_segment_is_garbage_is_a_violation() {
    let _alone = alone();
    const CAPACITY: u64 = PAGE as u64;
    let table: [(&str, Sent); 13] = [
        ("nothing", |_, _| {}),
        ("a message without a descriptor", |socket, _| socket.send(&[1; 16], &[]).unwrap()),
        ("a message with two", |socket, memfd| socket.send(&[1; 16], &[memfd.as_fd(), memfd.as_fd()]).unwrap()),
        ("a short message", |socket, memfd| socket.send(&[1; 15], &[memfd.as_fd()]).unwrap()),
        ("a long message", |socket, memfd| socket.send(&[1; 17], &[memfd.as_fd()]).unwrap()),
        ("another number", |socket, memfd| socket.send(&[2; 16], &[memfd.as_fd()]).unwrap()),
        ("a pipe", |socket, _| announce(socket, CAPACITY, Pipe::new().unwrap().read)),
        ("no seals", |socket, memfd| announce(socket, CAPACITY, memfd)),
        ("no pages", |socket, _| announce(socket, CAPACITY, sealed(&Memfd::sparse(c"garbage", PAGE).unwrap()))),
        ("less than announced", |socket, memfd| announce(socket, CAPACITY + 1, sealed(memfd))),
        ("less than the response", |socket, memfd| announce(socket, 99, sealed(memfd))),
        ("a capacity of nothing", |socket, memfd| announce(socket, 0, sealed(memfd))),
        ("a capacity beyond all", |socket, memfd| announce(socket, u64::MAX, sealed(memfd))),
    ];
    for (what, sent) in table {
        let violation = made_of(100, sent).expect_err(what);
        assert!(violation.starts_with("its large response cannot be read: "), "{what}: {violation}");
    }
    let (mut parent, socket) = answered_in_segment(100);
    drop(socket);
    assert!(parent.next_response().is_err(), "a closed socket");
    assert_eq!(made_of(100, |socket, memfd| announce(socket, CAPACITY, sealed(memfd))), Ok(vec![0; 100]));
}
