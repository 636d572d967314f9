//! What starts and ends of processes cost: pools of two, a process for each job, an idle worker's memory, and a worker that
//! is killed.

use std::ffi::c_int;

use crate::sys::{copy, end, get, pair, put, reap, shut, start};
use crate::work;

const QUESTION: [u32; 2] = [20, 22];

/// Answers until nobody asks any more.
pub(crate) fn serve(fd: c_int) {
    while let Some([a, b]) = get(fd) {
        put(fd, [a.wrapping_add(b), 0]);
    }
}

/// Burns so many thousand steps for each request, and answers with its pid.
pub(crate) fn serve_burning(fd: c_int) {
    while let Some([seed, thousands]) = get(fd) {
        std::hint::black_box(work::burn(seed, u64::from(thousands) * 1000));
        put(fd, [std::process::id(), 0]);
    }
}

/// A process that forks another for each request, waits for that, and answers.
fn zygote(fd: c_int) -> u32 {
    while let Some([a, b]) = get(fd) {
        put(fd, [reap(copy(|| a.wrapping_add(b))), 0]);
    }
    0
}

/// A worker, and the end at which it is asked.
struct Worker {
    pid: c_int,
    fd: c_int,
}

impl Worker {
    /// One that does `body`, or `what` when it is this program started again.
    fn new(by_fork: bool, what: &str, body: fn(c_int)) -> Self {
        let (fd, theirs) = pair();
        let pid = if by_fork {
            copy(|| {
                shut(fd);
                body(theirs);
                0
            })
        } else {
            start(what, theirs)
        };
        shut(theirs);
        Self { pid, fd }
    }

    fn serving(by_fork: bool) -> Self {
        Self::new(by_fork, "serve", serve)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        shut(self.fd);
        end(self.pid);
    }
}

fn pool_of_two(by_fork: bool) -> [Worker; 2] {
    let workers = [Worker::serving(by_fork), Worker::serving(by_fork)];
    put(workers[0].fd, QUESTION);
    assert_eq!(get(workers[0].fd), Some([42, 0]));
    workers
}

/// Jobs that begin with `begin` and end with `finish`, so many at a time.
fn overlapping<T>(jobs: u32, at_a_time: u32, mut begin: impl FnMut(u32) -> T, mut finish: impl FnMut(T)) {
    let mut out: std::collections::VecDeque<T> = (0..at_a_time.min(jobs)).map(&mut begin).collect();
    for job in at_a_time..jobs + at_a_time {
        finish(out.pop_front().expect("so many are out"));
        if job < jobs {
            out.push_back(begin(job));
        }
    }
}

fn processes(figure: &str, at_a_time: u32, by_fork: bool) {
    if by_fork {
        let zygotes: Vec<(c_int, c_int)> = (0..at_a_time)
            .map(|_| {
                let (ours, theirs) = pair();
                (copy(|| zygote(theirs)), ours)
            })
            .collect();
        let begin = |job: u32| {
            let fd = zygotes[(job % at_a_time) as usize].1;
            put(fd, QUESTION);
            fd
        };
        work::processes(figure, |jobs| overlapping(jobs, at_a_time, begin, |fd| assert_eq!(get(fd), Some([42, 0]))));
        zygotes.iter().for_each(|(pid, _)| end(*pid));
    } else {
        let begin = |_| {
            let worker = Worker::serving(false);
            put(worker.fd, QUESTION);
            worker
        };
        // It ends by itself when nobody asks any more.
        let finish = |worker: Worker| {
            assert_eq!(get(worker.fd), Some([42, 0]));
            shut(worker.fd);
            reap(worker.pid);
            std::mem::forget(worker);
        };
        work::processes(figure, |jobs| overlapping(jobs, at_a_time, begin, finish));
    }
}

/// A worker with one job ahead. When it ends, another is started and gets its jobs.
fn killed(by_fork: bool) {
    let steps = (work::millisecond() * work::KILLED_JOB / 1000) as u32;
    let begin = || Worker::new(by_fork, "serve-burning", serve_burning);
    let mut worker = begin();
    put(worker.fd, [0, 1]);
    let pid = get(worker.fd).expect("a pid")[0];
    put(worker.fd, [0, steps]);
    let results = (1..=work::BEFORE_KILL).map(|next| {
        let answer = get(worker.fd).unwrap_or_else(|| {
            worker = begin();
            put(worker.fd, [next - 1, steps]);
            get(worker.fd).expect("nobody kills this one")
        });
        put(worker.fd, [next, steps]);
        Some(answer[0])
    });
    work::kill_under_load(pid, results);
}

pub(crate) fn measure(measure: &str, by_fork: bool) {
    match measure {
        "first-pool" => work::first_results(measure, 1, || pool_of_two(by_fork)),
        "later-pool" => {
            drop(pool_of_two(by_fork));
            work::first_results(measure, 5, || pool_of_two(by_fork));
        }
        "process-per-job" => processes(measure, 2, by_fork),
        "one-process" => processes(measure, 1, by_fork),
        "idle" => work::idle(pool_of_two(by_fork).iter().map(|worker| worker.pid.cast_unsigned()).collect()),
        "kill" => killed(by_fork),
        other => panic!("no measure {other}"),
    }
}
