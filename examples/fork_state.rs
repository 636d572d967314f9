//! What a forked worker has of the process that built the pool, what it does not learn any more, and when a process is not forked.
//!
//! ```console
//! $ cargo run --release --example fork_state
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::thread;

use mpm::{Failure, Pool, StartMethod, worker};

// ANCHOR: statics
static CACHE: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());
static FILE: OnceLock<File> = OnceLock::new();

#[worker]
fn look_up(key: u32) -> Option<String> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
}

#[worker]
fn remember(key: u32, value: &str) {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value.to_owned());
}

/// Reads on where the last reader has stopped, whichever process that was.
#[worker]
fn read_five_bytes() -> Result<String, Failure> {
    let mut file = FILE.get().ok_or_else(|| Failure::new("the file is not open here"))?;
    let mut bytes = [0; 5];
    file.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
// ANCHOR_END: statics

#[mpm::main]
fn main() -> Result<(), Failure> {
    // ANCHOR: before
    remember(1, "before build()"); // a plain call: this process fills its cache
    let letters = letters()?;
    let mut file = FILE.get_or_init(|| letters);

    let pool = Pool::builder().name("forked").workers(1).start(StartMethod::Fork).build()?;
    remember(2, "after build()");
    println!("the worker knows 1: {:?}", pool.run(look_up::job(1))?);
    println!("the worker knows 2: {:?}", pool.run(look_up::job(2))?);
    // ANCHOR_END: before

    // ANCHOR: worker
    pool.run(remember::job(3, "in the worker"))?;
    println!("the worker knows 3: {:?}", pool.run(look_up::job(3))?);
    println!("this process knows 3: {:?}", look_up(3));
    // ANCHOR_END: worker

    // ANCHOR: file
    println!("the worker reads {:?}", pool.run(read_five_bytes::job())??);
    println!("this process reads {:?}", read_five_bytes()?);
    println!("both are at byte {}", file.stream_position()?);
    // ANCHOR_END: file

    // ANCHOR: forkserver
    let clean = Pool::builder().name("clean").workers(1).start(StartMethod::ForkServer).build()?;
    println!("a worker by fork server knows 1: {:?}", clean.run(look_up::job(1))?);
    if let Err(failure) = clean.run(read_five_bytes::job())? {
        println!("a worker by fork server reads nothing: {failure}");
    }
    // ANCHOR_END: forkserver

    // ANCHOR: isolate
    let mut numbers: Vec<u64> = (0..10_000_000).collect(); // 80 MB
    let (sum, before, after) = mpm::isolate(|| {
        let before = private_memory();
        numbers.iter_mut().for_each(|n| *n *= 2); // in the copy
        (numbers.iter().sum::<u64>(), before, private_memory())
    })?;
    println!("the copy has summed up {sum}; here the last number is still {:?}", numbers.last());
    println!("by writing it came to have memory of its own: {}", after? >= before? + 80_000_000);

    let crash = mpm::isolate(|| -> u64 { std::process::abort() });
    println!("a copy that aborts costs an error: {}", crash.is_err_and(|e| e.job().is_some()));
    // ANCHOR_END: isolate

    // ANCHOR: threads
    let gate = Barrier::new(2);
    thread::scope(|scope| -> Result<(), Failure> {
        thread::Builder::new().name("reader".to_owned()).spawn_scoped(scope, || {
            gate.wait();
            gate.wait();
        })?;
        gate.wait(); // the thread runs
        let refused = Pool::builder().start(StartMethod::Fork).build();
        let refused_too = mpm::isolate(|| ());
        let known = pool.run(look_up::job(1)); // the pool that was there before goes on
        gate.wait();
        println!("{}", refused.err().ok_or_else(|| Failure::new("forked beside a thread"))?);
        println!("isolate is refused too: {}", refused_too.is_err());
        println!("the worker knows 1: {:?}", known?);
        Ok(())
    })?;
    println!("without the thread it works: {}", mpm::isolate(|| true)?);
    // ANCHOR_END: threads
    Ok(())
}

/// An open file that has no name any more.
fn letters() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("mpm-fork-state-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(b"abcdefghijklmnopqrstuvwxyz")?;
    file.rewind()?;
    Ok(file)
}

// ANCHOR: private_memory
/// The bytes that no other process has in common with this one: see proc_pid_smaps(5).
fn private_memory() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let private = text.lines().filter(|line| line.starts_with("Private_")).filter_map(|line| line.split_whitespace().nth(1));
    Ok(private.map(str::parse::<u64>).sum::<Result<u64, _>>()? * 1024)
}
// ANCHOR_END: private_memory
