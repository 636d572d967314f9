//! A loaded machine: what passes on an idle one only is not right.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// The name of the spinning threads; [`Leaks`](crate::Leaks) knows it.
pub(crate) const THREAD: &str = "busy";

/// Keeps the machine busy until it is dropped; see [`busy`].
#[must_use = "the load ends when this is dropped"]
#[derive(Debug)]
pub struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Keeps `n` threads spinning until the guard is dropped.
///
/// # Panics
/// If a thread cannot be started.
///
/// ```
/// let _load = mpm_tests::busy(2);
/// ```
pub fn busy(n: usize) -> Busy {
    let stop = Arc::new(AtomicBool::new(false));
    let spin = |stop: Arc<AtomicBool>| {
        move || {
            while !stop.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        }
    };
    let start = |_| {
        let thread = thread::Builder::new().name(THREAD.to_owned());
        thread.spawn(spin(Arc::clone(&stop))).expect("a thread for the load")
    };
    let threads = (0..n).map(start).collect();
    Busy { stop, threads }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("spinning does not panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_ends_with_its_guard() {
        let load = busy(3);
        let stop = Arc::clone(&load.stop);
        assert_eq!(load.threads.len(), 3);
        assert!(load.threads.iter().all(|thread| !thread.is_finished()));
        drop(load);
        assert_eq!(Arc::strong_count(&stop), 1, "every thread has let go");
    }
}
