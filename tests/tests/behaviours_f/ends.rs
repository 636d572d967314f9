//! Behaviours 99 to 101: a pool that ends though nobody works on its full queue, jobs that wait for jobs, and locks that somebody holds.

use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, call_of, kill, wait_until};
use tempfile::TempDir;

use crate::jobs::{double, pass, pid, worker_counts};
use crate::{nobody_is_left, pool_of};

conform!(
    f99_the_end_of_a_pool_with_a_full_queue_and_dead_workers,
    f100_a_job_that_waits_for_another_job,
    f101_workers_start_and_speak_while_a_thread_holds_the_locks_of_the_parents_output,
);

/// Ends a pool in one of these ways.
fn end(pool: &Pool, way: &str) {
    match way {
        "join" => pool.join(),
        "shutdown" => pool.shutdown(Duration::from_secs(3600)),
        "shutdown at once" => pool.shutdown(Duration::ZERO),
        "kill" => pool.kill(),
        // The caller does.
        _ => {}
    }
}

/// All workers are dead and no other can start, the queue is full, and somebody waits to put in one more.
fn f99_the_end_of_a_pool_with_a_full_queue_and_dead_workers(method: StartMethod) {
    let ways = ["join", "shutdown", "shutdown at once", "kill", "drop"];
    for (workers, way) in worker_counts().into_iter().flat_map(|workers| ways.map(|way| (workers, way))) {
        let folder = TempDir::new().unwrap();
        let needed = folder.path().join("needed");
        fs::create_dir(&needed).unwrap();
        let gate = Gate::new(folder.path(), "gate");
        let path = gate.path();
        let builder = Pool::builder().workers(workers).queue(3).cwd(&needed).grace(Duration::from_secs(3600));
        let pool = builder.start(method).build().unwrap();
        let running: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        let queued: Vec<_> = (0..3).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        assert!(pool.try_submit(double::job(4)).unwrap_err().is_full());
        let die = || {
            fs::remove_dir(&needed).unwrap();
            running.iter().for_each(|job| kill(job.report().pid.unwrap(), libc::SIGKILL));
        };
        if way == "drop" {
            die();
        } else {
            thread::scope(|scope| {
                let submits = || pool.submit(double::job(5)).map(drop).unwrap_err().to_string();
                let submits = thread::Builder::new().name("submits".to_owned()).spawn_scoped(scope, submits).unwrap();
                wait_until("it sleeps", || call_of("submits").is_some());
                die();
                end(&pool, way);
                submits.join().unwrap();
            });
        }
        drop(pool);
        for job in running {
            let error = job.wait().unwrap_err();
            assert!(error.is_died() || matches!(error, JobError::Cancelled(_)), "{method} {workers} {way}: {error}");
        }
        for job in queued {
            let error = job.wait().unwrap_err();
            assert!(matches!(error, JobError::PoolFailed(_) | JobError::Cancelled(_)), "{method} {workers} {way}: {error}");
        }
        nobody_is_left(method);
    }
}

#[worker]
fn uses_a_pool_of_its_own(method: StartMethod, n: u64) -> u64 {
    pool_of(method, 1).run(double::job(n)).unwrap()
}

fn f100_a_job_that_waits_for_another_job(method: StartMethod) {
    // A job cannot reach the pool that runs it; one of its own has workers of its own, so nothing waits for itself.
    let pool = pool_of(method, 1);
    let values: Result<Vec<u64>, _> = pool.map::<uses_a_pool_of_its_own>((0..5).map(|n| (method, n))).collect();
    assert_eq!(values.unwrap(), [0, 2, 4, 6, 8]);
    assert!(pool.run(pid::job()).is_ok());
    drop(pool);
    nobody_is_left(method);
}

#[worker]
fn speaks(text: &str) -> u32 {
    println!("{text}");
    eprintln!("{text}");
    process::id()
}

/// The thread that starts the pool may hold them, and so may another one. Beside that no copy is made of this process.
fn f101_workers_start_and_speak_while_a_thread_holds_the_locks_of_the_parents_output(method: StartMethod) {
    let spoken = || {
        let pools = worker_counts().map(|workers| Pool::builder().workers(workers).start(method).build());
        pools.map(|pool| pool.map(|pool| pool.map::<speaks>(["spoken"; 10]).all(|outcome| outcome.is_ok())))
    };
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let own = spoken();
    stdout.flush().unwrap();
    stderr.flush().unwrap();
    drop((stdout, stderr));
    assert!(own.iter().all(|spoken| matches!(spoken, Ok(true))), "{own:?}");

    let (holds, held) = channel();
    let (end, ended) = channel::<()>();
    let holder = thread::spawn(move || {
        let _locks = (io::stdout().lock(), io::stderr().lock());
        holds.send(()).unwrap();
        assert!(ended.recv().is_err());
    });
    held.recv().unwrap();
    let beside = spoken();
    drop(end);
    // Only now, since this may print.
    holder.join().unwrap();
    for spoken in beside {
        match (spoken, method) {
            (Err(refused), StartMethod::Fork) => assert!(refused.to_string().contains("thread"), "{refused}"),
            (spoken, _) => assert!(matches!(spoken, Ok(true)), "{method}: {spoken:?}"),
        }
    }
}
