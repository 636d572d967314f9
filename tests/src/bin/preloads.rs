//! `preloads METHOD JOB`: a program whose pool preloads a job that goes wrong, and which prints why the pool fails. It has no other thread, so
//! it can be forked.

use std::thread;
use std::time::Duration;

use mpm::{Pool, worker};

#[worker]
fn nothing() {}

#[worker]
fn exits() {
    eprintln!("about to end");
    std::process::exit(3);
}

#[worker]
fn hangs() {
    loop {
        thread::park();
    }
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().unwrap_or_default().parse()?;
    let builder = Pool::builder().workers(1).start(method);
    let builder = match arguments.next().as_deref() {
        Some("exits") => builder.preload(exits::job()),
        Some("hangs") => builder.preload(hangs::job()).start_timeout(Duration::from_millis(300)),
        _ => builder,
    };
    if let Err(error) = builder.build()?.run(nothing::job()) {
        println!("{error}");
    }
    Ok(())
}
