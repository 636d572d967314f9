//! Signals that end pools in stages. Each test sends them to a program of its own.
//!
//! Longer than 300 lines, because a group of behaviours is read as a whole.

#![expect(clippy::unwrap_used, reason = "jobs and helpers of a test stop at an error, as the test does")]

#[path = "behaviours/jobs.rs"]
mod jobs;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use jobs::{double, pass, pid, pool_of, worker_counts};
use mpm::signals::{self, SIGINT, SIGTERM};
use mpm::{JobError, JobHandle, Pool};
use mpm_tests::{Doomed, Gate, alone, block_on, doomed, in_forked_copy, kill, process_gone, raise, report, wait_until, watchdog};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3600);

/// A pool of one worker that is busy at a gate, with two jobs that wait.
struct Busy {
    pool: Pool,
    gate: Gate,
    jobs: Vec<JobHandle<u32>>,
}

impl Busy {
    fn new(folder: &Path, name: &str, grace: Duration) -> Self {
        let pool = Pool::builder().name(name).workers(1).grace(grace).build().unwrap();
        let gate = Gate::new(folder, name);
        let path = gate.path();
        let jobs: Vec<_> = (0..3).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(1);
        Self { pool, gate, jobs }
    }

    /// Waits until the pool takes no more jobs.
    fn wait_closed(&self) {
        wait_until("the pool takes no more jobs", || self.pool.try_submit(pid::job()).is_err_and(|refused| refused.is_closed()));
    }

    /// How its jobs ended: v for a value, c for cancelled.
    fn outcomes(self) -> String {
        let letter = |job: JobHandle<u32>| match job.wait() {
            Ok(_) => 'v',
            Err(JobError::Cancelled(_)) => 'c',
            Err(other) => panic!("{other}"),
        };
        self.jobs.into_iter().map(letter).collect()
    }
}

/// Says to the test that this program has come so far, and waits until the test has done what it does then.
fn meet(folder: &Path, text: &str) {
    report(folder, text);
    wait_until("the test goes on", || folder.join("go").exists());
    fs::remove_file(folder.join("go")).unwrap();
}

/// The test's side of [`meet`].
fn let_go(process: &mut Doomed, folder: &Path, act: impl FnOnce(&Doomed)) -> String {
    let text = process.wait_report();
    fs::remove_file(folder.join("ready")).unwrap();
    act(process);
    fs::write(folder.join("go"), "").unwrap();
    text
}

#[mpm::test]
fn j151_staged_ctrl_c() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("j151_staged_ctrl_c", folder.path(), |folder| {
        let finishes = Busy::new(folder, "finishes", LONG);
        {
            let _guard = signals::shutdown_on_ctrl_c(&finishes.pool).unwrap();
            meet(folder, "first");
            finishes.wait_closed();
            assert!(finishes.jobs.iter().all(|job| !job.is_finished()));
            finishes.gate.open();
            assert_eq!(finishes.outcomes(), "vvv");
        }
        let hurries = Busy::new(folder, "hurries", Duration::from_millis(50));
        {
            let _guard = signals::shutdown_on_ctrl_c(&hurries.pool).unwrap();
            meet(folder, "second");
            hurries.wait_closed();
            meet(folder, "still");
            assert_eq!(hurries.outcomes(), "ccc");
        }
        let kills = Busy::new(folder, "kills", LONG);
        {
            let _guard = signals::shutdown_on_ctrl_c(&kills.pool).unwrap();
            meet(folder, "third");
            kills.wait_closed();
            meet(folder, "still");
            assert!(kills.jobs[1].report().pid.is_none());
            wait_until("what waits is cancelled", || kills.jobs[1].is_finished() && kills.jobs[2].is_finished());
            assert!(!kills.jobs[0].is_finished(), "it has a long grace");
            meet(folder, "again");
            assert_eq!(kills.outcomes(), "ccc");
        }
        meet(folder, "done");
    });
    let interrupt = |process: &Doomed| process.kill(libc::SIGINT);
    for expected in ["first", "second", "still", "third", "still", "again"] {
        assert_eq!(let_go(&mut process, folder.path(), interrupt), expected, "{}", process.output());
    }
    // The guards have given it back: now it means what it meant before.
    process.wait_report();
    process.kill(libc::SIGINT);
    assert_eq!(process.wait().signal(), Some(libc::SIGINT), "{}", process.output());
}

#[mpm::test]
fn j151_a_signal_that_finds_no_pool_does_what_it_did_before() {
    let _guard = watchdog();
    for keeps in [true, false] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("keeps"), keeps.to_string()).unwrap();
        let name = "j151_a_signal_that_finds_no_pool_does_what_it_did_before";
        let mut process = doomed(name, folder.path(), |folder| {
            let pool = pool_of(1);
            let _guard = signals::shutdown_on_ctrl_c(&pool).unwrap();
            assert_eq!(pool.run(double::job(4)).unwrap(), 8);
            // The guard does not keep the pool, nor does the pool that has ended keep the signal.
            if fs::read_to_string(folder.join("keeps")).unwrap() == "true" {
                pool.join();
            } else {
                drop(pool);
            }
            report(folder, "ended");
            loop {
                thread::park();
            }
        });
        process.wait_report();
        process.kill(libc::SIGINT);
        assert_eq!(process.wait().signal(), Some(libc::SIGINT), "{}", process.output());
    }
}

#[mpm::test]
fn j148_from_a_signal_handler() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("j148_from_a_signal_handler", folder.path(), |folder| {
        let Busy { pool, jobs, gate } = Busy::new(folder, "waits", LONG);
        let _guard = signals::shutdown_on(&[SIGINT, SIGTERM], &pool).unwrap();
        let worker = jobs[0].report().pid.unwrap();
        report(folder, "waits");
        // Main waits, as do others in each way there is.
        let mut jobs = jobs.into_iter();
        let (running, second, third) = (jobs.next().unwrap(), jobs.next().unwrap(), jobs.next().unwrap());
        let path = gate.path();
        thread::scope(|scope| {
            scope.spawn(|| assert!(block_on(second).unwrap_err().is_cancelled()));
            scope.spawn(|| assert_eq!(mpm::wait_any(&[third]), Some(0)));
            scope.spawn(|| assert!(pool.map::<pass>([path.as_str(); 5000]).all(|outcome| outcome.is_err())));
            assert!(running.wait().unwrap_err().is_cancelled());
        });
        assert!(process_gone(worker));
        drop(pool);
        drop(gate);
    });
    process.wait_report();
    // The two count together; which of them comes first does not matter.
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGTERM] {
        process.kill(signal);
        let pending = || {
            let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or("0").trim().to_owned();
            u64::from_str_radix(&line, 16).unwrap() != 0
        };
        // Two of a kind that wait to be delivered would be one.
        wait_until("it is delivered", || !pending());
    }
    assert!(process.wait().success(), "{}", process.output());
}

#[mpm::test]
fn j151_several_pools_end_together() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("j151_several_pools_end_together", folder.path(), |folder| {
        let busy = [Busy::new(folder, "one", LONG), Busy::new(folder, "two", LONG)];
        let _first = signals::shutdown_on_ctrl_c(&busy[0].pool).unwrap();
        let second = signals::shutdown_on_ctrl_c(&busy[1].pool).unwrap();
        let other = pool_of(1);
        meet(folder, "both");
        busy.iter().for_each(Busy::wait_closed);
        assert_eq!(other.run(double::job(4)).unwrap(), 8, "nobody has asked for this one's end");
        // One counts less than the other from here on.
        drop(second);
        meet(folder, "one");
        let [one, two] = busy;
        wait_until("what waits is cancelled", || one.jobs[1].is_finished() && one.jobs[2].is_finished());
        [&one, &two].iter().for_each(|busy| busy.gate.open());
        assert_eq!((one.outcomes().as_str(), two.outcomes().as_str()), ("vcc", "vvv"));
    });
    for expected in ["both", "one"] {
        let met = let_go(&mut process, folder.path(), |process| process.kill(libc::SIGINT));
        assert_eq!(met, expected, "{}", process.output());
    }
    assert!(process.wait().success(), "{}", process.output());
}

/// What this process does with signals.
fn dispositions() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().filter(|line| line.starts_with("SigCgt") || line.starts_with("SigIgn")).map(str::to_owned).collect()
}

#[mpm::test]
fn k158_sigint_interrupts_a_waiting_main_and_handlers_are_restored() {
    alone("k158_sigint_interrupts_a_waiting_main_and_handlers_are_restored", || {
        let before = dispositions();
        let folder = TempDir::new().unwrap();
        for (round, signals) in [&[SIGINT][..], &[SIGTERM, SIGINT]].into_iter().enumerate() {
            let busy = Busy::new(folder.path(), &format!("busy-{round}"), Duration::ZERO);
            let own = dispositions();
            let guard = signals::shutdown_on(signals, &busy.pool).unwrap();
            let another = signals::shutdown_on(signals, &busy.pool).unwrap();
            assert_ne!(dispositions(), own);
            // Sent by itself while it waits: each counts for both guards.
            raise(libc::SIGINT);
            busy.wait_closed();
            raise(libc::SIGINT);
            assert_eq!(busy.outcomes(), "ccc");
            drop(guard);
            assert_ne!(dispositions(), own);
            drop(another);
            assert_eq!(dispositions(), own);
        }
        assert_eq!(dispositions(), before);
    });
}

#[mpm::test]
fn k158_a_submitter_that_waits_for_room_is_released() {
    alone("k158_a_submitter_that_waits_for_room_is_released", || {
        let folder = TempDir::new().unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let pool = Pool::builder().workers(1).queue(1).build().unwrap();
        let _guard = signals::shutdown_on_ctrl_c(&pool).unwrap();
        thread::scope(|scope| {
            let submits = scope.spawn(|| {
                let mut accepted = 0;
                loop {
                    match pool.submit(pass::job(&path)) {
                        Ok(job) => drop(job),
                        Err(refused) => break assert!(refused.is_closed() && accepted >= 1, "{refused}"),
                    }
                    accepted += 1;
                }
            });
            gate.wait_for(1);
            raise(libc::SIGINT);
            submits.join().unwrap();
            gate.open();
        });
    });
}

#[mpm::test]
fn signals_that_cannot_be_caught_are_refused() {
    let _guard = watchdog();
    let pool = pool_of(1);
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 1000] {
        let error = signals::shutdown_on(&[SIGTERM, signal], &pool).unwrap_err();
        assert!(error.is_setting() && error.to_string().contains("cannot be caught"), "{error}");
    }
}

#[mpm::test]
fn workers_and_copies_keep_nothing_of_it() {
    alone("workers_and_copies_keep_nothing_of_it", || {
        let pool = pool_of(1);
        let _guard = signals::shutdown_on(&[SIGTERM], &pool).unwrap();
        // A worker ends by SIGTERM, and the pool goes on.
        for workers in worker_counts() {
            let other = pool_of(workers);
            let worker = other.run(pid::job()).unwrap();
            kill(worker, libc::SIGTERM);
            wait_until("it has ended", || process_gone(worker));
            assert_eq!(other.run(double::job(4)).unwrap(), 8);
        }
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
        // A copy that the user makes is none of the pool's: the signal does there what it did before.
        let ended = std::panic::catch_unwind(|| {
            in_forked_copy(|| {
                raise(libc::SIGTERM);
                true
            })
        });
        let text = *ended.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("status 15"), "{text}");
        assert_eq!(pool.run(double::job(4)).unwrap(), 8);
    });
}

static POOL: OnceLock<Pool> = OnceLock::new();

#[mpm::test]
fn j152_a_pool_kept_only_by_a_global() {
    let _guard = watchdog();
    let folder = TempDir::new().unwrap();
    let mut process = doomed("j152_a_pool_kept_only_by_a_global", folder.path(), |folder| {
        // All that runs on threads of the pool's: callbacks under way, hooks, signals.
        let builder = Pool::builder().workers(2).on_start(note::job()).on_stop(note::job()).on_event(|_| thread::yield_now());
        let pool = POOL.get_or_init(|| builder.build().unwrap());
        std::mem::forget(signals::shutdown_on_ctrl_c(pool).unwrap());
        let jobs: Vec<_> = (0..50).map(|n| pool.submit(double::job(n).on_done(|_| thread::yield_now())).unwrap()).collect();
        assert_eq!(jobs.into_iter().map(|job| job.wait().unwrap()).sum::<u64>(), 49 * 50);
        report(folder, &pool.run(pid::job()).unwrap().to_string());
    });
    let worker = process.wait_report().parse().unwrap();
    assert_eq!(process.wait().code(), Some(0), "{}", process.output());
    assert!(!process.output().contains("panicked"), "{}", process.output());
    wait_until("the worker is gone", || process_gone(worker));
}

#[mpm::worker]
fn note() {}
