//! What starts cost where there is nothing but the system's calls: no crate, no protocol, no care for what goes wrong.
//!
//! `limits cold WAY` and `limits rest WAY`, with `fork` or `exec` for WAY, print a measure and a number a line.

use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Instant;

unsafe extern "C" {
    static environ: *const *mut c_char;
    fn _exit(code: c_int) -> !;
    fn close(fd: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn fork() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn read(fd: c_int, into: *mut c_void, len: usize) -> isize;
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, ends: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn write(fd: c_int, from: *const c_void, len: usize) -> isize;
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        argv: *const *const c_char,
        envp: *const *mut c_char,
    ) -> c_int;
}

const SIGKILL: c_int = 9;
const JOBS: u32 = 400;

/// Two ends; the second survives an exec.
fn pair() -> (c_int, c_int) {
    const AF_UNIX: c_int = 1;
    const SOCK_STREAM_CLOEXEC: c_int = 1 | 0o2_000_000;
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two numbers that the call writes.
    assert_eq!(unsafe { socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ends.as_mut_ptr()) }, 0);
    // SAFETY: F_SETFD (2) takes a number.
    unsafe { fcntl(ends[1], 2, 0) };
    (ends[0], ends[1])
}

fn get(fd: c_int) -> Option<[u32; 2]> {
    let mut words = [0; 2];
    // SAFETY: the array has room for the eight bytes that are asked for.
    (unsafe { read(fd, words.as_mut_ptr().cast(), 8) } == 8).then_some(words)
}

fn put(fd: c_int, words: [u32; 2]) {
    // SAFETY: the array has the eight bytes that are offered.
    assert_eq!(unsafe { write(fd, words.as_ptr().cast(), 8) }, 8);
}

/// A copy of this process that runs `body` and ends.
fn copy(body: impl FnOnce()) -> c_int {
    // SAFETY: this program has one thread, so its copy may do whatever it may.
    match unsafe { fork() } {
        0 => {
            body();
            // SAFETY: takes a number.
            unsafe { _exit(0) }
        }
        pid => pid,
    }
}

/// This program, started once more to do `what` with `fd`.
fn start(what: &str, fd: c_int) -> c_int {
    let arguments = ["limits", what, &fd.to_string()].map(|text| CString::new(text).expect("has no NUL"));
    let argv = [arguments[0].as_ptr(), arguments[1].as_ptr(), arguments[2].as_ptr(), std::ptr::null()];
    let mut pid = 0;
    // SAFETY: all are C strings, or arrays of such with a null pointer at their end; no actions and no attributes are given.
    let code =
        unsafe { posix_spawn(&mut pid, c"/proc/self/exe".as_ptr(), std::ptr::null(), std::ptr::null(), argv.as_ptr(), environ) };
    assert_eq!(code, 0);
    pid
}

/// The exit code of a child.
fn reap(pid: c_int) -> u32 {
    let mut status = 0;
    // SAFETY: the pointer leads to a live number.
    assert_eq!(unsafe { waitpid(pid, &raw mut status, 0) }, pid);
    (status >> 8).cast_unsigned()
}

/// Answers until nobody asks any more.
fn serve(fd: c_int) {
    while let Some([a, b]) = get(fd) {
        put(fd, [a.wrapping_add(b), 0]);
    }
}

/// A process that forks another for each request, waits for that, and answers.
fn zygote(fd: c_int) {
    while let Some([a, b]) = get(fd) {
        // SAFETY: takes a number.
        let pid = copy(|| unsafe { _exit(a.wrapping_add(b) as c_int) });
        put(fd, [reap(pid), 0]);
    }
}

/// A worker, and the end at which it is asked.
fn worker(by_fork: bool) -> (c_int, c_int) {
    let (ours, theirs) = pair();
    let pid = if by_fork { copy(|| serve(theirs)) } else { start("serve", theirs) };
    // SAFETY: the number is that of the end just made, which nobody else uses here.
    unsafe { close(theirs) };
    (pid, ours)
}

fn ask(fd: c_int) {
    put(fd, [20, 22]);
    assert_eq!(get(fd), Some([42, 0]));
}

fn end(pid: c_int) {
    // SAFETY: takes two numbers; the child is not reaped yet.
    unsafe { kill(pid, SIGKILL) };
    reap(pid);
}

fn private_kib(pid: c_int) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the kernel tells");
    let private = text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

/// Two workers until the first result, in milliseconds.
fn pool_of_two(by_fork: bool) -> f64 {
    let start = Instant::now();
    let workers = [worker(by_fork), worker(by_fork)];
    ask(workers[0].1);
    let took = start.elapsed();
    workers.into_iter().for_each(|(pid, _)| end(pid));
    took.as_secs_f64() * 1e3
}

fn jobs(measure: &str, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    println!("{measure}\t{}", start.elapsed().as_secs_f64() * 1e6 / f64::from(JOBS));
}

fn by_zygotes() {
    let zygotes = [pair(), pair()].map(|(ours, theirs)| (copy(|| zygote(theirs)), ours));
    let answered = |fd: c_int| assert_eq!(get(fd), Some([42, 0]));
    jobs("one", || {
        for _ in 0..JOBS {
            put(zygotes[0].1, [20, 22]);
            answered(zygotes[0].1);
        }
    });
    jobs("per job", || {
        zygotes.iter().for_each(|(_, fd)| put(*fd, [20, 22]));
        for job in 0..JOBS {
            let fd = zygotes[job as usize % 2].1;
            answered(fd);
            if job + 2 < JOBS {
                put(fd, [20, 22]);
            }
        }
    });
    zygotes.into_iter().for_each(|(pid, _)| end(pid));
}

fn by_exec() {
    let begin = || {
        let (ours, theirs) = pair();
        let pid = start("serve", theirs);
        // SAFETY: as in `worker`.
        unsafe { close(theirs) };
        put(ours, [20, 22]);
        (pid, ours)
    };
    let finish = |(pid, fd): (c_int, c_int)| {
        assert_eq!(get(fd), Some([42, 0]));
        // SAFETY: as in `worker`.
        unsafe { close(fd) };
        reap(pid);
    };
    jobs("one", || (0..JOBS).for_each(|_| finish(begin())));
    jobs("per job", || {
        let mut out = [begin(), begin()];
        for job in 0..JOBS as usize {
            finish(out[job % 2]);
            if job + 2 < JOBS as usize {
                out[job % 2] = begin();
            }
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let by_fork = arguments[2] == "fork";
    match &*arguments[1] {
        "serve" => serve(arguments[2].parse().expect("a descriptor")),
        "cold" => println!("cold\t{}", pool_of_two(by_fork)),
        "rest" => {
            println!("warm\t{}", pool_of_two(by_fork));
            if by_fork {
                by_zygotes()
            } else {
                by_exec()
            }
            let (pid, fd) = worker(by_fork);
            ask(fd);
            println!("memory\t{}", private_kib(pid));
            end(pid);
        }
        other => panic!("{other}"),
    }
}
