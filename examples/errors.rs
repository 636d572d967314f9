//! Every way in which a job can end without a value, and what a program can ask about it.

use std::time::Duration;

use mpm::{DidRun, HowItEnded, JobError, Pool, worker};

#[worker]
fn divide(a: u32, b: u32) -> u32 {
    a / b
}

#[worker]
fn leave(code: i32) {
    std::process::exit(code);
}

#[worker]
fn nap(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

// ANCHOR: explain
fn explain(error: &JobError) -> String {
    match error {
        JobError::Panicked(panic) => format!("it panicked, and its worker goes on: {}", panic.message),
        JobError::Died(death) => {
            let how = match &death.how {
                HowItEnded::Signal { name, .. } => format!("signal {name}"),
                HowItEnded::Exited(code) => format!("exit code {code}"),
                other => other.to_string(),
            };
            let again = match death.did_run {
                DidRun::No => "it did not run: submit it again",
                DidRun::Maybe => "it may have run in part: is it safe to run again?",
                _ => "it ran, and its result is lost",
            };
            format!("its worker died by {how}; {again}")
        }
        JobError::Cancelled(cancelled) => format!("it was taken back: {}", cancelled.reason),
        other => other.to_string(),
    }
}
// ANCHOR_END: explain

#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::builder().workers(1).queue(1).build()?;

    for error in [pool.run(divide::job(1, 0)).err(), pool.run(leave::job(7)).err()].into_iter().flatten() {
        println!("{}", explain(&error));
    }

    // ANCHOR: cancel
    let running = pool.submit(nap::job(500))?;
    let waiting = pool.submit(nap::job(500))?;
    if waiting.cancel()
        && let Err(error) = waiting.wait()
    {
        println!("{}", explain(&error));
    }
    running.wait()?;
    // ANCHOR_END: cancel

    // ANCHOR: full
    let mut handles = Vec::new();
    let refused = loop {
        match pool.try_submit(nap::job(50)) {
            Ok(handle) => handles.push(handle),
            Err(refused) => break refused,
        }
    };
    println!("refused: {refused}");
    if refused.is_full() {
        handles.push(pool.submit(refused.into_job())?); // the same job, unharmed; `submit` waits for room
    }
    mpm::wait_all(&handles);
    // ANCHOR_END: full

    // ANCHOR: setup
    pool.join();
    if let Err(refused) = pool.submit(divide::job(4, 2)) {
        println!("refused: {refused}");
    }
    if let Err(error) = Pool::builder().workers(0).build() {
        println!("a setting is wrong: {}: {error}", error.is_setting());
    }
    // ANCHOR_END: setup
    Ok(())
}
