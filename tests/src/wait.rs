//! Waits for what sends no event to the test: another process's state, a line in `/proc`. The one place that may poll,
//! because the system offers nothing to sleep on there; whatever mpm itself reports is waited for with mpm's own calls.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a machine under heavy load; a test that passes never waits it out.
const LIMIT: Duration = Duration::from_secs(60);

/// The longest step between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Waits until `is_true` says so, looking again and again.
///
/// # Panics
/// After 60 seconds, with `what` in the message; `what` completes “waited in vain until …”.
///
/// ```
/// let child = std::process::Command::new("true").spawn().map(|mut child| child.wait());
/// mpm_tests::wait_until("the child was reaped", || child.is_ok());
/// ```
#[track_caller]
pub fn wait_until(what: &str, is_true: impl FnMut() -> bool) {
    assert!(holds_within(LIMIT, is_true), "waited {} s in vain until {what}", LIMIT.as_secs());
}

/// Whether `is_true` says so before `limit` is over.
pub(crate) fn holds_within(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut step = Duration::from_micros(200);
    loop {
        if is_true() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(step);
        step = (step * 2).min(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_true_is_seen() {
        let mut looks = 0;
        wait_until("the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn what_never_comes_true_ends() {
        let mut looks = 0;
        assert!(!holds_within(Duration::from_millis(50), || {
            looks += 1;
            false
        }));
        assert!(looks > 1, "it must look more than once, not {looks} times");
    }
}
