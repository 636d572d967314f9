//! Preload jobs that misbehave, for each start method: the pool says why it fails, or does what is documented.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mpm::{Builder, JobError, Pool, StartMethod, worker};
use mpm_tests::{Leaks, alone, children_of, doomed, process_gone, report, templates_of, wait_until, watchdog};
use tempfile::TempDir;

use crate::pools::{build, double, warm_up};

#[worker]
fn panics() {
    panic!("no model today");
}

#[worker]
fn fails() -> Result<(), String> {
    Err("the model is broken".to_owned())
}

#[worker]
fn hangs() {
    loop {
        thread::park();
    }
}

#[worker]
fn exits() {
    process::exit(3);
}

#[worker]
fn dies() {
    mpm_tests::raise(libc::SIGKILL);
}

#[worker]
fn closes_descriptors() {
    eprintln!("it closes them all");
    mpm_tests::close_descriptors_from(3);
}

#[worker]
fn leaves_a_thread() {
    let (tell, named) = mpsc::channel();
    let body = move || {
        // It has its name by now.
        tell.send(()).unwrap();
        loop {
            thread::park()
        }
    };
    thread::Builder::new().name("left-behind".to_owned()).spawn(body).unwrap();
    named.recv().unwrap();
}

/// What a pool says whose preload job is of no use, which leaves nothing behind.
#[track_caller]
fn reason(builder: Builder, method: StartMethod) -> String {
    let pool = build(builder.workers(2), method);
    let error = pool.run(double::job(1)).unwrap_err();
    assert!(matches!(error, JobError::PoolFailed(_)), "{method}: {error:?}");
    assert!(pool.submit(double::job(1)).is_err());
    drop(pool);
    wait_until("nothing is left", || children_of(process::id()).is_empty());
    error.to_string()
}

#[mpm::test]
fn those_that_fail() {
    alone("preload::those_that_fail", || {
        for method in StartMethod::ALL {
            warm_up(method);
            let leaks = Leaks::baseline().allow_threads(&["mpm-starter", "mpm-stderr"]);
            let expect = |builder: Builder, parts: &[&str]| {
                let text = reason(builder, method);
                parts.iter().for_each(|part| assert!(text.contains(part), "{method}: no {part:?} in: {text}"));
            };
            // None of them but the last comes near a limit.
            let builder = || Pool::builder().start_timeout(Duration::from_secs(100));
            expect(builder().preload(panics::job()), &["preload::panics", "no model today", "preload.rs"]);
            expect(builder().preload(fails::job()), &["preload::fails", "the model is broken"]);
            expect(builder().preload(exits::job()), &["preload::exits", "code 3"]);
            expect(builder().preload(dies::job()), &["preload::dies", "SIGKILL"]);
            // Long enough to come to the preload job on a busy machine.
            let hangs = builder().preload(hangs::job()).start_timeout(Duration::from_secs(5));
            expect(hangs, &["preload::hangs", "5s"]);
            leaks.check();
        }
    });
}

#[mpm::test]
fn one_that_closes_every_descriptor() {
    alone("preload::one_that_closes_every_descriptor", || {
        for method in StartMethod::ALL {
            let text = reason(Pool::builder().preload(closes_descriptors::job()), method);
            assert!(text.contains("it closes them all"), "{method}: {text}");
        }
    });
}

#[mpm::test]
fn one_that_leaves_a_thread() {
    alone("preload::one_that_leaves_a_thread", || {
        for method in StartMethod::ALL {
            let builder = Pool::builder().preload(leaves_a_thread::job());
            if method == StartMethod::Spawn {
                // There nobody is copied.
                assert_eq!(build(builder.workers(1), method).run(double::job(2)).unwrap(), 4);
            } else {
                let text = reason(builder, method);
                assert!(text.contains("left-behind") && text.contains("thread"), "{method}: {text}");
            }
        }
    });
}

#[worker]
fn prints() {
    print!("<printed once>");
}

/// Text that was printed without a line end is written once, not once for each worker.
#[mpm::test]
fn one_that_prints_half_a_line() {
    let _guard = watchdog();
    for method in StartMethod::ALL {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("method"), method.name()).unwrap();
        let mut process = doomed("preload::one_that_prints_half_a_line", folder.path(), |folder| {
            let method: StartMethod = fs::read_to_string(folder.join("method")).unwrap().parse().unwrap();
            print!("<of the parent>");
            let pool = build(Pool::builder().workers(3).preload(prints::job()).max_jobs(1), method);
            (0..12).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
            pool.join();
            std::io::stdout().flush().unwrap();
            report(folder, "");
        });
        assert!(process.wait().success(), "{}", process.output());
        let output = process.output();
        assert_eq!(output.matches("<of the parent>").count(), 1, "{method}: {output}");
        let printed = output.matches("<printed once>").count();
        assert!(if method == StartMethod::Spawn { printed >= 12 } else { printed == 1 }, "{method}: {printed} times");
    }
}

static BEFORE: OnceLock<String> = OnceLock::new();

#[worker]
fn changes_this_process(folder: &Path) {
    BEFORE.set(std::env::current_dir().unwrap().display().to_string()).unwrap();
    std::env::set_current_dir(folder).unwrap();
    mpm_tests::block_signal(libc::SIGUSR1);
    mpm_tests::close_descriptor(1);
}

/// Directory, directory before, blocked signals, what standard output is.
#[worker]
fn looks() -> (String, String, u64, String) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim().to_owned();
    let stdout = fs::read_link("/proc/self/fd/1").map_or("closed".to_owned(), |path| path.display().to_string());
    let own = std::env::current_dir().unwrap().display().to_string();
    (own, BEFORE.get().unwrap().clone(), u64::from_str_radix(&blocked, 16).unwrap(), stdout)
}

/// Workers begin in the pool's directory, with no signal blocked and three standard streams, whatever the preload job did.
#[mpm::test]
fn one_that_changes_its_process() {
    alone("preload::one_that_changes_its_process", || {
        for method in StartMethod::ALL {
            let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
            let [of_pool, other] = folders.each_ref().map(|folder| folder.path().canonicalize().unwrap());
            let builder = Pool::builder().workers(2).max_jobs(1).cwd(&of_pool);
            let pool = build(builder.preload(changes_this_process::job(&other)), method);
            for _ in 0..4 {
                let (directory, before, blocked, stdout) = pool.run(looks::job()).unwrap();
                assert_eq!(before, of_pool.display().to_string(), "{method}: the preload job runs there as well");
                assert_eq!(directory, of_pool.display().to_string(), "{method}");
                assert_eq!(blocked, 0, "{method}");
                assert!(stdout == "/dev/null" || (method == StartMethod::Spawn && stdout != "closed"), "{method}: {stdout}");
            }
        }
    });
}

/// What a preload job starts and leaves behind ends with the template.
#[expect(clippy::zombie_processes, reason = "a job that leaves its child behind is what is tested")]
#[worker]
fn starts_a_child(file: &Path) {
    let child = process::Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
}

#[mpm::test]
fn one_that_leaves_a_child() {
    alone("preload::one_that_leaves_a_child", || {
        for method in StartMethod::ALL {
            let folder = TempDir::new().unwrap();
            let file = folder.path().join("pid");
            let pool = build(Pool::builder().workers(1).preload(starts_a_child::job(&file)), method);
            assert_eq!(pool.run(double::job(2)).unwrap(), 4);
            let child: u32 = fs::read_to_string(&file).unwrap().parse().unwrap();
            assert!(!process_gone(child));
            drop(pool);
            wait_until("it is gone", || process_gone(child));
            assert!(templates_of(process::id()).len() <= 1);
        }
    });
}
