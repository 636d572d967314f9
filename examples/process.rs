//! Single processes: each runs one job, and can be named, waited for, asked and ended. For those who know Python's
//! `multiprocessing.Process`.
//!
//! ```console
//! $ cargo run --release --example process
//! $ MPM_START_METHOD=spawn cargo run --release --example process
//! ```

use std::error::Error;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mpm::{Process, StartMethod, worker};

// ANCHOR: targets
static NUMBER: Mutex<u32> = Mutex::new(42);

/// Counts up a static, and tells who does that.
#[worker]
fn count_up() -> String {
    let mut number = NUMBER.lock().unwrap_or_else(PoisonError::into_inner);
    *number += 1;
    let me = mpm::current_process();
    let parent = mpm::parent_process().map(|parent| format!("{} ({})", parent.name(), parent.pid()));
    format!("{} ({}), child of {parent:?}: {number}", me.name(), me.pid())
}
// ANCHOR_END: targets

/// Never returns.
#[worker]
fn sleep_for_ever() {
    loop {
        thread::park();
    }
}

#[worker]
fn nap(milliseconds: u64) -> u64 {
    thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

#[worker]
fn leave(code: i32) {
    std::process::exit(code);
}

#[worker]
fn stumble() {
    panic!("over a stone");
}

/// Starts a process and tells whether that is a daemon.
#[worker]
fn start_another() -> bool {
    Process::builder(nap::job(0)).start().is_ok_and(|child| child.is_daemon())
}

// ANCHOR: pipe_targets
/// Writes numbers to standard output, one a line.
#[worker]
fn create(numbers: &[i64]) {
    for number in numbers {
        println!("{number}");
    }
}

/// Reads numbers from standard input until it ends, and writes their doubles to standard output.
#[worker]
fn double() -> usize {
    let numbers = io::stdin().lock().lines().map_while(|line| line.ok()?.parse::<i64>().ok());
    numbers.map(|number| println!("{}", number * 2)).count()
}
// ANCHOR_END: pipe_targets

#[mpm::main]
fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: start
    println!("this is {} ({}), parent: {:?}", mpm::current_process().name(), std::process::id(), mpm::parent_process());
    let first = Process::builder(count_up::job()).name("first").start()?;
    let second = Process::builder(count_up::job()).start()?; // called process-1
    first.join()?;
    println!("{} has ended: {:?}, alive: {}", first.name(), first.exit_status(), first.is_alive());
    println!("{}", first.wait()?);
    println!("{}", second.wait()?);
    println!("here it is still {}", NUMBER.lock().unwrap_or_else(PoisonError::into_inner));
    // ANCHOR_END: start

    // ANCHOR: end
    let sleeper = Process::builder(sleep_for_ever::job()).name("sleeper").start()?;
    println!("within 50 ms it ended: {:?}", sleeper.join_timeout(Duration::from_millis(50))?);
    println!("active: {:?}", mpm::active_processes().iter().map(|p| p.name().to_owned()).collect::<Vec<_>>());
    sleeper.terminate()?; // by SIGTERM; kill() ends whatever does not heed that, with all of its process group
    println!("it {}", sleeper.join()?);
    println!("it {}, asked again", sleeper.join()?);
    println!("active: {:?}", mpm::active_processes());
    sleeper.close()?;
    // ANCHOR_END: end

    // ANCHOR: close
    let napper = Process::builder(nap::job(100)).name("napper").start()?;
    let (name, pid) = (napper.name().to_owned(), napper.pid());
    match napper.close() {
        Err(error) => println!("{error}"),
        Ok(()) => println!("{name} ({pid}) was quick"),
    }
    // It goes on, without a handle; `active_processes` still knows it.
    for process in mpm::active_processes() {
        println!("{} {}", process.name(), process.join()?);
    }
    // ANCHOR_END: close

    // ANCHOR: exit
    let quitter = Process::builder(leave::job(7)).name("quitter").start()?;
    println!("exit code {:?}", quitter.join()?.code());
    let stumbler = Process::builder(stumble::job()).name("stumbler").stderr(io::pipe()?.1).start()?;
    println!("exit code {:?}", stumbler.join()?.code());
    if let Err(error) = stumbler.wait() {
        println!("a panic: {}", error.job().is_some_and(mpm::JobError::is_panicked));
    }
    // ANCHOR_END: exit

    // ANCHOR: daemon
    let daemon = Process::builder(start_another::job()).daemon(true).start()?;
    let waited_for = Process::builder(start_another::job()).start()?;
    println!("what a daemon starts is a daemon: {}", daemon.wait()?);
    println!("what another one starts is a daemon: {}", waited_for.wait()?);
    // ANCHOR_END: daemon

    // ANCHOR: methods
    for method in StartMethod::ALL {
        let process = Process::builder(nap::job(0)).start_method(method).start()?;
        println!("{} by {}: {}", process.name(), process.start_method(), process.join()?);
    }
    // ANCHOR_END: methods

    // ANCHOR: pipes
    let (between_read, between_write) = io::pipe()?;
    let (mut result, result_write) = io::pipe()?;
    let creator = Process::builder(create::job(&[5, 10, 13])).name("creator").stdout(between_write).start()?;
    let doubler = Process::builder(double::job()).name("doubler").stdin(between_read).stdout(result_write).start()?;
    let mut text = String::new();
    result.read_to_string(&mut text)?;
    println!("{:?}", text.lines().collect::<Vec<_>>());
    creator.wait()?;
    println!("{} numbers", doubler.wait()?);
    // ANCHOR_END: pipes

    // ANCHOR: duplex
    let (mut here, there) = UnixStream::pair()?;
    let doubler = Process::builder(double::job()).stdin(there.try_clone()?).stdout(there).start()?;
    here.write_all(b"21\n")?;
    let mut answer = String::new();
    io::BufReader::new(&here).read_line(&mut answer)?;
    println!("the answer is {:?}", answer.trim());
    here.shutdown(Shutdown::Write)?; // now its input is at its end
    doubler.wait()?;
    // ANCHOR_END: duplex
    Ok(())
}
