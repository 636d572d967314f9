//! What is said about a start that fails while a job is preloaded: the job by name, and the whole reason before the last lines.

use std::process::{Command, Stdio};

use mpm::StartMethod;
use mpm_tests::watchdog;

/// Why the pool of the program `preloads` fails.
fn reason(method: StartMethod, job: &str) -> String {
    output(method.name(), job)
}

fn output(method: &str, job: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preloads"));
    let output =
        command.args([method, job]).env_remove("MPM_START_METHOD").stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{method}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_exit_while_preloading_names_the_job() {
    let _watchdog = watchdog();
    for method in StartMethod::ALL {
        let text = reason(method, "exits");
        assert!(text.contains("exited with code 3 while it ran preload job `preloads::exits`"), "{method}: {text}");
        assert!(!text.contains("mpm::init()"), "{method}: {text}");
    }
}

#[test]
fn a_preload_job_that_hangs_is_named() {
    let _watchdog = watchdog();
    for method in StartMethod::ALL {
        let text = reason(method, "hangs");
        assert!(text.contains("was not ready within 5s: it runs preload job `preloads::hangs`"), "{method}: {text}");
    }
}

/// The sentence was appended to the last of these lines.
#[test]
fn that_a_copy_cannot_be_made_anew_stands_before_its_last_lines() {
    let _watchdog = watchdog();
    let text = reason(StartMethod::Fork, "exits");
    assert!(text.ends_with("\n  | about to end\n"), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.ends_with("cannot be made anew")), "{text}");
}

/// With the default method the pool went another way without a word, and each worker preloaded once more.
#[test]
fn a_preload_job_that_leaves_a_thread_fails_the_pool() {
    let _watchdog = watchdog();
    for method in ["default", "forkserver", "fork"] {
        let text = output(method, "leaves-a-thread");
        assert!(text.contains("1 other thread (left), started while it was preloaded"), "{method}: {text}");
        assert_eq!(text.matches("preloaded\n").count(), 1, "{method}: {text}");
    }
}
