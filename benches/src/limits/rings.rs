//! Requests and responses of 64 bytes through rings in shared memory, two workers; who finds nothing sleeps.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::{Bed, copy, end, shared};
use crate::work;

const SLOTS: u64 = 1024;

#[repr(C, align(128))]
struct Tail(AtomicU64);

/// A ring: how many were ever put in. How many were taken out is the other side's own business, as neither side ever has more
/// than `SLOTS` on the way.
#[repr(C)]
struct Ring {
    tail: Tail,
    slots: [Slot; SLOTS as usize],
}

#[repr(C, align(64))]
struct Slot([AtomicU64; 8]);

impl Ring {
    fn slot(&self, n: u64) -> &[AtomicU64; 8] {
        &self.slots[(n % SLOTS) as usize].0
    }

    fn filled(&self) -> u64 {
        self.tail.0.load(Ordering::Acquire)
    }
}

/// One worker's rings, and where it sleeps.
#[repr(C)]
struct Worker {
    requests: Ring,
    responses: Ring,
    bed: Bed,
}

/// Answers what comes, for ever: wakes the parent after each `batch` and when nothing is left.
fn serve(worker: &Worker, parent: &Bed, batch: u64) -> ! {
    let mut done = 0;
    loop {
        let filled = worker.requests.filled();
        if filled == done {
            worker.bed.sleep_unless(|| worker.requests.tail.0.load(Ordering::SeqCst) != done);
        }
        while done < filled {
            let until = filled.min(done + batch);
            while done < until {
                let request = worker.requests.slot(done);
                let response = worker.responses.slot(done);
                let sum = work::add(request[0].load(Ordering::Relaxed) as u32);
                response[0].store(u64::from(sum), Ordering::Relaxed);
                response[1].store(request[1].load(Ordering::Relaxed), Ordering::Relaxed);
                done += 1;
            }
            worker.responses.tail.0.store(done, Ordering::Release);
            parent.ring();
        }
    }
}

/// How far the parent is with a worker, ever.
#[derive(Clone, Copy, Default)]
struct Progress {
    sent: u64,
    got: u64,
}

/// The sum of the results of so many jobs.
fn run(jobs: u32, workers: [&Worker; 2], parent: &Bed, batch: u64, progress: &mut [Progress; 2]) -> u64 {
    let (mut seed, mut got, mut sum) = (0, 0, 0);
    while got < jobs {
        let mut idle = true;
        for (worker, progress) in workers.iter().zip(&mut *progress) {
            let room = SLOTS - (progress.sent - progress.got);
            let send = batch.min(room).min(u64::from(jobs - seed));
            for _ in 0..send {
                let request = worker.requests.slot(progress.sent);
                request[0].store(u64::from(seed), Ordering::Relaxed);
                request[1].store(progress.sent, Ordering::Relaxed);
                progress.sent += 1;
                seed += 1;
            }
            if send > 0 {
                worker.requests.tail.0.store(progress.sent, Ordering::Release);
                worker.bed.ring();
                idle = false;
            }
        }
        for (worker, progress) in workers.iter().zip(&mut *progress) {
            let filled = worker.responses.filled();
            while progress.got < filled {
                sum += worker.responses.slot(progress.got)[0].load(Ordering::Relaxed);
                progress.got += 1;
                got += 1;
                idle = false;
            }
        }
        if idle {
            let ready = || (0..2).any(|w| workers[w].responses.tail.0.load(Ordering::SeqCst) != progress[w].got);
            parent.sleep_unless(ready);
        }
    }
    sum
}

/// Jobs one by one, or as a map; it is the same here.
pub(crate) fn measure(measure: &str, batch: u64) {
    let jobs = match measure {
        "one-by-one" => work::ONE_BY_ONE,
        "map" => work::MAP,
        other => panic!("no measure {other}"),
    };
    let at: *mut Worker = shared(2 * size_of::<Worker>()).cast();
    // SAFETY: zeroed memory, page-aligned, which stays; all zero is a valid `Worker`.
    let workers: [&'static Worker; 2] = unsafe { [&*at, &*at.add(1)] };
    // SAFETY: likewise a `Bed`.
    let parent: &'static Bed = unsafe { &*shared(size_of::<Bed>()).cast() };
    let pids = workers.map(|worker| copy(|| serve(worker, parent, batch)));
    let mut progress = [Progress::default(); 2];
    run(10_000, workers, parent, batch, &mut progress);
    work::batches(measure, jobs, jobs, |jobs| run(jobs, workers, parent, batch, &mut progress));
    pids.into_iter().for_each(end);
}
