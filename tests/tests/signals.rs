//! Signals that end pools in stages. Each test sends them to a program of its own; where the start method can make a difference, each is a
//! test for every one.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[macro_use]
#[path = "behaviours/conform.rs"]
mod conform;
#[path = "signals/busy.rs"]
mod busy;
#[path = "signals/stages.rs"]
mod stages;
#[path = "signals/waits.rs"]
mod waits;

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "start/pools.rs"]
mod pools;

use std::time::Duration;

use mpm::Pool;
use mpm::signals::{self, SIGTERM};
use mpm_tests::watchdog;

const LONG: Duration = Duration::from_secs(3600);

#[mpm::test]
fn signals_that_cannot_be_caught_are_refused() {
    let _guard = watchdog();
    let pool = Pool::builder().workers(1).build().unwrap();
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 1000] {
        let error = signals::shutdown_on(&[SIGTERM, signal], &pool).unwrap_err();
        assert!(error.is_setting() && error.to_string().contains("cannot be caught"), "{error}");
    }
}
