//! Waking, without a lost wake-up and without a system call where nobody sleeps.
//!
//! Both directions use the same two-step of Dekker: one side publishes, fences and looks whether the other sleeps; the
//! other says that it sleeps, fences and looks again for what was published. With a sequentially consistent fence between
//! each side's store and load, at least one of them sees the other (C++ `[atomics.order]`; the loom models in `tests/models.rs`
//! run it in every order that loom knows, with a full ring in those of at most three preemptions).
//!
//! | word | written by | means |
//! |---|---|---|
//! | `bell` (worker page) | worker: ASLEEP or FULL before it sleeps, AWAKE after; parent: AWAKE when it wakes it | a wake-up call is needed |
//! | `wanted` (parent page) | parent | from which response on a call is needed, and which: see [`Call`] |
//!
//! The parent's word lies in memory that the worker cannot write, so that no stray write of a worker can keep the parent
//! asleep; a bell that a worker damages puts to sleep that worker alone.
//!
//! `wanted` names a response and not only "the next one", so that a burst of short jobs is one call and not one for each; the
//! idea is that of `used_event` in virtio (Virtual I/O Device 1.2, 2.7.10).

use super::memory::Memory;
use super::sync::{Ordering, fence, spin_loop, yield_now};

pub(crate) const AWAKE: u32 = 0;
/// Asleep until there is a request.
pub(crate) const ASLEEP: u32 = 1;
/// Asleep until the parent has taken responses.
pub(crate) const FULL: u32 = 2;

/// How the parent wants to be told of the response to a request, by that one's number, or of a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Not at all: some thread of it looks by itself, or nothing is in flight.
    None,
    /// The doorbell wakes the supervisor.
    Doorbell(u32),
    /// A futex call wakes the thread that sleeps on `tail`.
    Thread(u32),
    /// The same for a thread that sleeps on `calls`, which the responses before do not change.
    Late(u32),
}

const DOORBELL: u64 = 1;
const THREAD: u64 = 2;
const LATE: u64 = 3;

impl Call {
    /// `{ number, kind, turn }`: the turn makes each call another word, so that the worker can tell a new one from one that it
    /// has made already.
    fn pack(self, turn: u64) -> u64 {
        let (kind, number) = match self {
            Self::None => (0, 0),
            Self::Doorbell(number) => (DOORBELL, number),
            Self::Thread(number) => (THREAD, number),
            Self::Late(number) => (LATE, number),
        };
        u64::from(number) | kind << 32 | turn << 34
    }
}

/// How long a side looks for news by itself before it sleeps: some 40 microseconds, a few times what a sleep and a wake-up cost,
/// as long as that is of use. Where it was in vain three times in a row, because news come seldom or the CPUs are busy, only
/// every eighth wait begins with a look, until one succeeds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    in_vain: u32,
}

impl Patience {
    /// Looks of a wait.
    const SPINS: u32 = 1400;

    /// How often to look in the next wait.
    pub(crate) fn spins(self) -> u32 {
        if self.in_vain < 3 || self.in_vain.is_multiple_of(8) { Self::SPINS } else { 0 }
    }

    /// Whether the wait was over before the sleep began.
    pub(crate) fn learn(&mut self, was_of_use: bool) {
        self.in_vain = if was_of_use { 0 } else { self.in_vain.saturating_add(1) };
    }
}

/// Looks up to `spins` times; whether `ready` held. Now and then it lets others have the CPU: the other side may wait for this one.
pub(crate) fn spin(spins: u32, ready: impl Fn() -> bool) -> bool {
    for look in 1..=spins {
        if ready() {
            return true;
        }
        if look.is_multiple_of(LOOKS_IN_A_ROW) { yield_now() } else { spin_loop() }
    }
    false
}

/// Looks of some two microseconds.
const LOOKS_IN_A_ROW: u32 = 64;

/// Worker: waits until `ready` holds: a short spin where that can help, then sleep. `state` says for what.
pub(crate) fn wait(memory: &impl Memory, patience: Option<&mut Patience>, state: u32, ready: impl Fn() -> bool) {
    if ready() {
        return;
    }
    if let Some(patience) = patience {
        let spins = patience.spins();
        let was_of_use = spin(spins, &ready);
        patience.learn(was_of_use);
        if was_of_use {
            return;
        }
    }
    let bell = &memory.worker_page().bell.0;
    loop {
        bell.store(state, Ordering::Relaxed);
        // Pairs with the fence in `wake_worker`.
        fence(Ordering::SeqCst);
        if ready() {
            break;
        }
        memory.sleep(state);
        if ready() {
            break;
        }
    }
    bell.store(AWAKE, Ordering::Relaxed);
}

/// Parent: call after publishing something that the worker may sleep for in any state.
pub(crate) fn wake_worker(memory: &impl Memory) {
    wake_worker_from(memory, ASLEEP);
}

/// Parent: call after publishing something that a worker may sleep for whose state is `lowest` or a later one. Should a job
/// have written over the bell, one call too many is the lesser harm.
pub(crate) fn wake_worker_from(memory: &impl Memory, lowest: u32) {
    let bell = &memory.worker_page().bell.0;
    // Pairs with the fence in `wait`.
    fence(Ordering::SeqCst);
    if bell.load(Ordering::Relaxed) >= lowest {
        bell.store(AWAKE, Ordering::Relaxed);
        memory.wake();
    }
}

/// Parent: what it has asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    call: Call,
    turn: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { call: Call::None, turn: 0 }
    }
}

impl Wanted {
    /// Asks for `call`. Use [`armed`] after the last of several links, and look for responses once more after that, before
    /// sleeping.
    pub(crate) fn ask(&mut self, memory: &impl Memory, call: Call) {
        // Asked for once more, it is a new call: the worker may have made the old one, for want of room or for an item.
        if self.call != call || call != Call::None {
            (self.call, self.turn) = (call, self.turn.wrapping_add(1));
            memory.parent_page().wanted.0.store(call.pack(self.turn), Ordering::Relaxed);
        }
    }

    /// What was last asked for.
    pub(crate) fn call(&self) -> Call {
        self.call
    }
}

/// Parent: what was asked for before this is asked for every response that is not seen after it.
pub(crate) fn armed() {
    // Pairs with the fence in `Caller::tell`.
    fence(Ordering::SeqCst);
}

/// Worker: the calls that it has made.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The word for which it called last. The parent is awake since, and will look; a new wish is another word.
    called: u64,
}

impl Caller {
    /// Call after publishing the response to request `number`.
    pub(crate) fn tell(&mut self, memory: &impl Memory, number: u32) {
        // Pairs with the fence in `armed`.
        fence(Ordering::SeqCst);
        let word = memory.parent_page().wanted.0.load(Ordering::Relaxed);
        let kind = word >> 32 & 3;
        if kind == 0 || word == self.called {
            return;
        }
        // The numbers wrap: those less than half way around ahead are later ones.
        let from = u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
        if number.wrapping_sub(from) > u32::MAX / 2 {
            return;
        }
        self.called = word;
        Self::make(memory, word);
    }

    /// Calls before this side waits for responses to be taken, which may be earlier than the parent has wanted: its wish stays the
    /// same then, so this is not counted as the call for it.
    pub(crate) fn call(memory: &impl Memory) {
        // Pairs with the fence in `armed`: a wish that is not seen here is one of a parent that looks once more.
        fence(Ordering::SeqCst);
        let word = memory.parent_page().wanted.0.load(Ordering::Relaxed);
        if word >> 32 & 3 != 0 {
            Self::make(memory, word);
        }
    }

    fn make(memory: &impl Memory, word: u64) {
        match word >> 32 & 3 {
            DOORBELL => memory.ring(),
            THREAD => memory.wake_parent(),
            _ => {
                let calls = &memory.worker_page().calls.0;
                // Before the wake-up: who is about to sleep sees that this word has changed. Who takes the responses looks with
                // Acquire at where they end.
                calls.store(calls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                memory.wake_caller();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_after_three_waits_in_vain_and_looks_again_now_and_then() {
        let mut patience = Patience::default();
        let looked: Vec<u32> = (0..17)
            .filter(|_| {
                let looks = patience.spins() > 0;
                patience.learn(false);
                looks
            })
            .collect();
        assert_eq!(looked, [0, 1, 2, 8, 16]);
        patience.learn(true);
        assert!(patience.spins() > 0);
    }
}
