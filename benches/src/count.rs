//! The way of a job and nothing else, for `callgrind.sh`: `count WAY JOBS` runs so many jobs in that way.
//!
//! It prints the parent's pid and the worker's. Each writes its counts when it is asked, since neither ends in order under
//! valgrind: see `callgrind.sh`.

use std::arch::asm;

use mpm::{Pool, StartMethod, worker};

/// Requests that a program makes of callgrind (`valgrind/callgrind.h`).
const DUMP: usize = 0x4354_0000;
const ZERO: usize = 0x4354_0001;

/// Makes a request of callgrind; does nothing where there is none.
fn callgrind(request: usize) {
    let arguments = [request, 0, 0, 0, 0, 0];
    // SAFETY: on a processor these instructions turn a register by 128 bits, and exchange another with itself; valgrind knows
    // them, reads the six words behind rax, and puts an answer into rdx (`valgrind/valgrind.h`, amd64-linux).
    unsafe {
        asm!("rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx", in("rax") &raw const arguments, inout("rdx") 0_usize => _);
    }
}

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[worker]
fn add_seven(a: u32) -> u32 {
    a + 7
}

/// In the worker.
#[worker]
fn request(request: usize) -> u32 {
    callgrind(request);
    std::process::id()
}

fn main() {
    mpm::init();
    let arguments: Vec<String> = std::env::args().collect();
    let [_, way, jobs] = &arguments[..] else { panic!("usage: count run|submit|map JOBS") };
    let jobs: u32 = jobs.parse().expect("a number of jobs");
    // A copy of this process, since valgrind 3.19 does not follow the exec of /proc/self/exe.
    let pool = Pool::builder().workers(1).start(StartMethod::Fork).queue(1 << 20).build().expect("a pool of 1");
    let worker = pool.run(request::job(ZERO)).expect("zero");
    callgrind(ZERO);
    let sum: u64 = match way.as_str() {
        "run" => (0..jobs).map(|i| u64::from(pool.run(add::job(i, 7)).expect("add"))).sum(),
        "submit" => {
            let handles: Vec<_> = (0..jobs).map(|i| pool.submit(add::job(i, 7)).expect("submit")).collect();
            handles.into_iter().map(|handle| u64::from(handle.wait().expect("add"))).sum()
        }
        "map" => pool.map::<add_seven>(0..jobs).map(|sum| u64::from(sum.expect("add"))).sum(),
        other => panic!("no way {other}"),
    };
    callgrind(DUMP);
    assert_eq!(sum, (0..u64::from(jobs)).map(|i| i + 7).sum());
    pool.run(request::job(DUMP)).expect("dump");
    println!("{} {worker}", std::process::id());
    // The pool would wait for the worker's end, which nobody tells it under valgrind.
    std::mem::forget(pool);
}
