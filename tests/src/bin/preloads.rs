//! `preloads METHOD JOB`: a program whose pool preloads a job that goes wrong, and which prints why the pool fails. With `default` nobody
//! chooses the method. It has no other thread, so it can be forked.

use std::sync::mpsc;
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

#[worker]
fn leaves_a_thread() {
    println!("preloaded");
    let (tell, named) = mpsc::channel();
    let body = move || {
        // It has its name by now.
        tell.send(()).expect("the job waits");
        thread::park();
    };
    thread::Builder::new().name("left".to_owned()).spawn(body).expect("a thread");
    named.recv().expect("the thread tells");
}

#[mpm::main]
fn main() -> mpm::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let builder = Pool::builder().workers(1);
    let builder = match arguments.next().as_deref() {
        Some("default") | None => builder,
        Some(method) => builder.start(method.parse()?),
    };
    let builder = match arguments.next().as_deref() {
        Some("exits") => builder.preload(exits::job()),
        Some("hangs") => builder.preload(hangs::job()).start_timeout(Duration::from_secs(5)),
        Some("leaves-a-thread") => builder.preload(leaves_a_thread::job()),
        _ => builder,
    };
    if let Err(error) = builder.build()?.run(nothing::job()) {
        println!("{error}");
    }
    Ok(())
}
