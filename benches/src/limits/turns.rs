//! Two processes that take turns by a word in shared memory: round trips, and bytes beside them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys::{Bed, copy, end, shared, stay_on};
use crate::work;

/// One way: how often it was used, and what stands beside.
#[repr(C, align(128))]
struct Way {
    turn: AtomicU32,
    value: AtomicU64,
    bed: Bed,
}

impl Way {
    fn send(&self, turn: u32) {
        self.turn.store(turn, Ordering::SeqCst);
        self.bed.ring();
    }

    /// Waits for a turn: spins so long, then sleeps.
    fn wait(&self, turn: u32, spin: Duration) {
        let here = || self.turn.load(Ordering::SeqCst) == turn;
        if !spin.is_zero() {
            let begin = Instant::now();
            while begin.elapsed() < spin {
                for _ in 0..16 {
                    if here() {
                        return;
                    }
                    std::hint::spin_loop();
                }
            }
        }
        while !here() {
            self.bed.sleep_unless(here);
        }
    }
}

/// Two processes with some shared bytes.
struct Turns {
    there: &'static Way,
    back: &'static Way,
    turn: u32,
    spin: Duration,
    worker: i32,
}

impl Turns {
    /// The worker answers each request by what `answer` makes of its value. Where both spin, each has a CPU of its own: on the same
    /// one, each would spin while the other cannot run.
    fn new(spin: Duration, mut answer: impl FnMut(u64) -> u64) -> Self {
        let at: *mut Way = shared(2 * size_of::<Way>()).cast();
        // SAFETY: zeroed memory, page-aligned, which stays; all zero is a valid `Way`.
        let [there, back]: [&'static Way; 2] = unsafe { [&*at, &*at.add(1)] };
        let worker = copy(|| {
            if !spin.is_zero() {
                stay_on(1);
            }
            let mut turn = 0;
            loop {
                turn += 1;
                there.wait(turn, spin);
                back.value.store(answer(there.value.load(Ordering::Relaxed)), Ordering::Relaxed);
                back.send(turn);
            }
        });
        if !spin.is_zero() {
            stay_on(0);
        }
        Self { there, back, turn: 0, spin, worker }
    }

    fn call(&mut self, value: u64) -> u64 {
        self.turn += 1;
        self.there.value.store(value, Ordering::Relaxed);
        self.there.send(self.turn);
        self.back.wait(self.turn, self.spin);
        self.back.value.load(Ordering::Relaxed)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        end(self.worker);
    }
}

/// `add`, as round trips at once or after pauses.
pub(crate) fn measure(measure: &str, spin: Duration) {
    let mut turns = Turns::new(spin, |seed| u64::from(work::add(seed as u32)));
    let call = |seed: u32| turns.call(u64::from(seed)) as u32;
    match measure {
        "round-trip" => work::round_trips(call),
        "asleep" => work::round_trips_asleep(call),
        other => panic!("no measure {other}"),
    }
}

/// Copies into shared memory and out of it again, by both sides; all four go between memory that was touched before.
pub(crate) fn echo(bytes: usize, spin: Duration) {
    let at = shared(2 * bytes);
    // SAFETY: the second half of the shared bytes.
    let answered = unsafe { at.add(bytes) };
    let mut private = vec![0; bytes];
    let mut turns = Turns::new(spin, |_| {
        // SAFETY: all are of this length and do not overlap; nobody writes here while it is the worker's turn.
        unsafe {
            at.copy_to_nonoverlapping(private.as_mut_ptr(), bytes);
            answered.copy_from_nonoverlapping(private.as_ptr(), bytes);
        }
        0
    });
    work::echoes(bytes, |mut holds| {
        // SAFETY: as in the worker, while it is the caller's turn.
        unsafe { at.copy_from_nonoverlapping(holds.as_ptr(), bytes) };
        turns.call(0);
        // SAFETY: as before.
        unsafe { answered.copy_to_nonoverlapping(holds.as_mut_ptr(), bytes) };
        holds
    });
}

/// One copy into shared memory, where the worker looks at it.
pub(crate) fn borrowed(bytes: usize, spin: Duration) {
    let at = shared(bytes);
    // SAFETY: the bytes are zeroed and stay; nobody writes to them while it is the worker's turn.
    let mut turns = Turns::new(spin, |_| work::look_at(unsafe { std::slice::from_raw_parts(at, bytes) }));
    work::borrowed(bytes, |holds| {
        // SAFETY: they have the same length and do not overlap; it is the caller's turn.
        unsafe { at.copy_from_nonoverlapping(holds.as_ptr(), bytes) };
        turns.call(0)
    });
}
