//! The claim word, the bells and the response ring under loom, over a heap in place of shared mappings: every interleaving
//! of the threads, and every stale read that loom knows. It does not know all that the memory model allows: no load is let
//! see a store that comes later. The model of a full ring alone is bounded, to three preemptions.
//!
//! Longer than 300 lines, because all models stand on one heap.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p mpm-runtime --release --lib loom`.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::link::bell::{self, Call, Wanted};
use crate::link::claim;
use crate::link::layout::{Layout, PAGE, ParentPage, WorkerPage};
use crate::link::memory::Memory;
use crate::link::requests::Request;
use crate::link::responses::{Frame, Kind, Reader, Writer};
use crate::link::sync::{AtomicU64, Ordering};

/// Small enough to be full at once: two slots, a ring of one frame with payload and one without.
const LAYOUT: Layout = Layout { slots: 2, data: 64, ring: 64 };

/// Bytes are kept in relaxed words, so that a copy that nothing orders may read what was there before.
struct Heap {
    parent: ParentPage,
    worker: WorkerPage,
    requests: Vec<AtomicU64>,
    responses: Vec<AtomicU64>,
    futex: (Mutex<()>, Condvar),
    doorbell: (Mutex<bool>, Condvar),
    tail: (Mutex<()>, Condvar),
}

impl Heap {
    fn new() -> Arc<Self> {
        let words = |bytes: usize| (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            parent: ParentPage::default(),
            worker: WorkerPage::default(),
            requests: words(LAYOUT.requests_len() - PAGE),
            responses: words(LAYOUT.ring),
            futex: (Mutex::new(()), Condvar::new()),
            doorbell: (Mutex::new(false), Condvar::new()),
            tail: (Mutex::new(()), Condvar::new()),
        })
    }

    fn wait_for_doorbell(&self) {
        let mut rung = self.doorbell.0.lock().unwrap();
        while !*rung {
            rung = self.doorbell.1.wait(rung).unwrap();
        }
        *rung = false;
    }

    /// As the kernel does it, for a thread of the parent that has seen `tail`.
    fn wait_for_tail(&self, seen: u64) {
        let mut guard = self.tail.0.lock().unwrap();
        while self.worker.tail.0.load(Ordering::Relaxed) == seen {
            guard = self.tail.1.wait(guard).unwrap();
        }
    }
}

fn store(words: &[AtomicU64], at: usize, bytes: &[u8]) {
    for (word, chunk) in words[(at - PAGE) / 8..].iter().zip(bytes.chunks(8)) {
        let mut long = [0; 8];
        long[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(long), Ordering::Relaxed);
    }
}

fn load(words: &[AtomicU64], at: usize, into: &mut [u8]) {
    for (word, chunk) in words[(at - PAGE) / 8..].iter().zip(into.chunks_mut(8)) {
        let len = chunk.len();
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes()[..len]);
    }
}

impl Memory for Arc<Heap> {
    fn parent_page(&self) -> &ParentPage {
        &self.parent
    }

    fn worker_page(&self) -> &WorkerPage {
        &self.worker
    }

    fn write_request(&self, at: usize, bytes: &[u8]) {
        store(&self.requests, at, bytes);
    }

    fn read_request(&self, at: usize, into: &mut [u8]) {
        load(&self.requests, at, into);
    }

    fn write_response(&self, at: usize, bytes: &[u8]) {
        store(&self.responses, at, bytes);
    }

    fn read_response(&self, at: usize, into: &mut [u8]) {
        load(&self.responses, at, into);
    }

    /// As the kernel does it: looks at the word and goes to sleep in one step against `wake`.
    fn sleep(&self, state: u32) {
        let mut guard = self.futex.0.lock().unwrap();
        while self.worker.bell.0.load(Ordering::Relaxed) == state {
            guard = self.futex.1.wait(guard).unwrap();
        }
    }

    fn wake(&self) {
        let _guard = self.futex.0.lock().unwrap();
        self.futex.1.notify_one();
    }

    fn ring(&self) {
        *self.doorbell.0.lock().unwrap() = true;
        self.doorbell.1.notify_one();
    }

    fn wake_parent(&self) {
        let _guard = self.tail.0.lock().unwrap();
        self.tail.1.notify_one();
    }

    fn wake_caller(&self) {
        self.wake_parent();
    }
}

fn request(seq: u32, job: u64) -> Request {
    Request { seq, target: 7, job, attempt: 1, segment: 0, at: job as u32 * 10, items: 0, note: 0, len: job * 100 }
}

fn publish(heap: &Arc<Heap>, seq: u32, job: u64) {
    request(seq, job).write(heap, &LAYOUT);
    claim::publish(&heap.worker.claim.0, seq, seq + 1).unwrap();
    bell::wake_worker(heap);
}

/// Claims request `next` and returns its job, if it is there.
fn claim_one(heap: &Arc<Heap>, next: u32) -> Option<u64> {
    claim::take(&heap.worker.claim.0, next).unwrap().then(|| {
        let read = Request::read(next, heap, &LAYOUT);
        assert_eq!(read, request(next, read.job), "a claimed slot must hold what was published last");
        read.job
    })
}

#[test]
fn loom_a_published_request_is_claimed_whole_or_taken_back() {
    loom::model(|| {
        let heap = Heap::new();
        publish(&heap, 0, 10);
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || [claim_one(&heap, 0), claim_one_if(&heap, 0)].into_iter().flatten().collect::<Vec<_>>())
        };
        publish(&heap, 1, 11);
        let after = claim::take_back(&heap.worker.claim.0, 0);
        let mut parent: Vec<u64> = (after.limit..2).map(|seq| 10 + u64::from(seq)).collect();
        let mut all = worker.join().unwrap();
        all.append(&mut parent);
        all.sort_unstable();
        assert_eq!(all, [10, 11], "each job is on exactly one side");
    });
}

/// Claims one more, whichever is next.
fn claim_one_if(heap: &Arc<Heap>, _from: u32) -> Option<u64> {
    let next = claim::read(&heap.worker.claim.0).claimed;
    claim_one(heap, next)
}

#[test]
fn loom_a_slot_that_was_taken_back_can_be_filled_anew() {
    loom::model(|| {
        let heap = Heap::new();
        publish(&heap, 0, 10);
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || claim_one(&heap, 0))
        };
        let after = claim::take_back(&heap.worker.claim.0, 0);
        let claimed = if after.limit == 0 {
            // Not claimed: the slot is the parent's, and gets another job of the same number.
            publish(&heap, 0, 20);
            worker.join().unwrap().or_else(|| claim_one(&heap, 0))
        } else {
            worker.join().unwrap()
        };
        let expected = if after.limit == 0 { 20 } else { 10 };
        assert_eq!(claimed, Some(expected));
    });
}

#[test]
fn loom_a_sleeping_worker_never_misses_a_request() {
    loom::model(|| {
        let heap = Heap::new();
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                let word = &heap.worker.claim.0;
                bell::wait(&heap, None, bell::ASLEEP, || claim::read(word).waiting() > 0);
                claim_one(&heap, 0).unwrap()
            })
        };
        publish(&heap, 0, 10);
        assert_eq!(worker.join().unwrap(), 10);
    });
}

#[test]
fn loom_a_sleeping_worker_never_misses_the_stop() {
    loom::model(|| {
        let heap = Heap::new();
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || bell::wait(&heap, None, bell::ASLEEP, || heap.parent.stop.0.load(Ordering::Relaxed) != 0))
        };
        heap.parent.stop.0.store(1, Ordering::Relaxed);
        bell::wake_worker(&heap);
        worker.join().unwrap();
    });
}

fn frame(seq: u32, len: u64) -> Frame {
    Frame { seq, kind: Kind::Value, segment: 0, len, ran: u64::from(seq) + 1000 }
}

/// The parent's reading end, and how it sleeps.
struct Parent {
    reader: Reader,
    wanted: Wanted,
    by: fn(u32) -> Call,
}

impl Parent {
    fn new(by: fn(u32) -> Call) -> Self {
        Self { reader: Reader::default(), wanted: Wanted::default(), by }
    }

    /// Takes the next response, asleep until the worker has called for the one of this number.
    fn next_response(&mut self, heap: &Arc<Heap>, number: u32) -> (Frame, Vec<u8>) {
        loop {
            if let Some((frame, bytes)) = self.reader.next(heap, &LAYOUT).unwrap() {
                self.reader.pass(heap, &LAYOUT, &frame);
                return (frame, bytes.to_vec());
            }
            self.reader.release(heap);
            self.wanted.ask(heap, (self.by)(number));
            bell::armed();
            if heap.worker.tail.0.load(Ordering::Relaxed) == self.reader.head() {
                match self.wanted.call() {
                    Call::Thread(_) => heap.wait_for_tail(self.reader.head()),
                    _ => heap.wait_for_doorbell(),
                }
            }
        }
    }
}

fn never_misses_a_response(by: fn(u32) -> Call) {
    loom::model(move || {
        let heap = Heap::new();
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                let mut writer = Writer::default();
                writer.put(&heap, &LAYOUT, frame(0, 8), &[7; 8]);
            })
        };
        let mut parent = Parent::new(by);
        assert_eq!(parent.next_response(&heap, 0), (frame(0, 8), vec![7; 8]));
        worker.join().unwrap();
    });
}

#[test]
fn loom_a_sleeping_parent_never_misses_a_response() {
    never_misses_a_response(Call::Doorbell);
}

#[test]
fn loom_a_thread_asleep_on_the_link_never_misses_a_response() {
    never_misses_a_response(Call::Thread);
}

/// The call for the second of two responses comes, whether the first has been taken by then or not.
#[test]
fn loom_a_call_for_a_later_response_is_not_lost() {
    loom::model(|| {
        let heap = Heap::new();
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                let mut writer = Writer::default();
                writer.put(&heap, &LAYOUT, frame(0, 0), &[]);
                writer.put(&heap, &LAYOUT, frame(1, 0), &[]);
            })
        };
        let mut parent = Parent::new(Call::Doorbell);
        assert_eq!(parent.next_response(&heap, 1), (frame(0, 0), vec![]));
        assert_eq!(parent.next_response(&heap, 1), (frame(1, 0), vec![]));
        worker.join().unwrap();
    });
}

#[test]
fn loom_a_full_ring_makes_the_worker_wait_and_loses_nothing() {
    // Without a bound it holds too, but takes minutes.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let heap = Heap::new();
        let worker = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                let mut writer = Writer::default();
                for seq in 0..2 {
                    // 32 + 8 bytes each in a ring of 64: the second fits only after the first was taken, and wraps.
                    bell::wait(&heap, None, bell::FULL, || writer.fits(&heap, &LAYOUT, 40));
                    writer.put(&heap, &LAYOUT, frame(seq, 8), &[seq as u8 + 1; 8]);
                }
            })
        };
        let mut parent = Parent::new(Call::Doorbell);
        for seq in 0..2 {
            assert_eq!(parent.next_response(&heap, seq), (frame(seq, 8), vec![seq as u8 + 1; 8]));
        }
        worker.join().unwrap();
    });
}
