//! Programs that begin in the wrong way, or not at all: told in clear words, and no fork bomb.

use std::borrow::Cow;
use std::process::{Command, Output};

use mpm::__private::{Encoder, Index, Registry};
use mpm::{CodecError, Pool, Target, worker};
use mpm_tests::{alone, children_of, watchdog};

fn odd(way: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_odd")).env("ODD", way).args(arguments).output().unwrap()
}

/// What the program printed, after it has ended with `code`.
fn text(output: &Output, code: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// This test program has no `#[mpm::test]` and so never comes to `init`.
#[test]
fn a_pool_without_init_is_an_error_before_any_process_is_started() {
    alone("a_pool_without_init_is_an_error_before_any_process_is_started", || {
        let error = Pool::new().unwrap_err();
        assert!(error.is_not_initialised());
        let text = error.to_string();
        assert!(["mpm::init()", "#[mpm::main]", "#[mpm::test]"].iter().all(|hint| text.contains(hint)), "{text}");
        assert!(children_of(std::process::id()).is_empty());
    });
}

#[test]
fn the_odd_program_works_when_nothing_is_odd() {
    let _watchdog = watchdog();
    assert_eq!(text(&odd("nothing", &[]), 0), "3\n");
}

#[test]
fn a_worker_that_never_comes_to_init_ends_with_a_message_and_runs_nothing_twice() {
    let _watchdog = watchdog();
    let text = text(&odd("forgets-in-the-worker", &[]), 1);
    assert!(text.contains("exited with code 123") && text.contains("main() did not call mpm::init() first"), "{text}");
    // One `error:` line: the parent's. A worker that went on would have printed its own, or a sum.
    assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
}

#[test]
fn a_worker_that_dies_before_init_is_told_with_its_exit_and_its_last_words() {
    let _watchdog = watchdog();
    let text = text(&odd("dies-before-init", &[]), 1);
    assert!(text.contains("exited with code 7") && text.contains("| no licence file found"), "{text}");
}

#[test]
fn a_program_that_parses_its_arguments_before_init_says_so_in_the_error() {
    let _watchdog = watchdog();
    let text = text(&odd("parses-arguments-first", &[]), 1);
    assert!(text.contains("exited with code 2") && text.contains("| unexpected argument"), "{text}");
}

#[test]
fn a_worker_that_hangs_before_init_is_ended_and_told() {
    let _watchdog = watchdog();
    let text = text(&odd("hangs-before-init", &[]), 1);
    assert!(text.contains("was not ready within 300ms") && text.contains("mpm::init()"), "{text}");
}

/// The default method gives way without a word: nobody has asked for a template.
#[test]
fn a_program_with_threads_before_init_gets_workers_and_reads_nothing_about_it() {
    let _watchdog = watchdog();
    assert_eq!(text(&odd("threads-before-init", &[]), 0), "3\n");
}

#[test]
fn a_program_with_threads_before_init_is_told_once_why_the_method_that_it_chose_does_not_work() {
    let _watchdog = watchdog();
    let mut command = Command::new(env!("CARGO_BIN_EXE_odd"));
    let text = text(&command.env("ODD", "threads-before-init").env("MPM_START_METHOD", "forkserver").output().unwrap(), 1);
    assert_eq!(text.matches("it cannot fork workers: this process has 1 other thread").count(), 1, "{text}");
}

#[test]
fn a_token_from_somewhere_else_is_refused() {
    let _watchdog = watchdog();
    let text = text(&odd("nothing", &["mpm-worker:3:00000000000000ff"]), 123);
    assert!(text.contains("belongs to a worker process"), "{text}");
}

#[test]
fn what_only_looks_like_a_token_is_an_ordinary_argument() {
    let _watchdog = watchdog();
    for argument in ["mpm-worker:", "mpm-worker:x:y", "mpm-worker:3", "mpm-worker"] {
        assert_eq!(text(&odd("nothing", &[argument]), 0), "3\n");
    }
}

#[test]
fn two_targets_of_one_name_are_refused_with_both_places() {
    let _watchdog = watchdog();
    let output = Command::new(env!("CARGO_BIN_EXE_twice")).output().unwrap();
    let text = text(&output, 0);
    assert!(text.contains("`job`") && text.matches("twice.rs:").count() == 2 && text.contains("name = "), "{text}");
}

#[worker]
fn registered(a: u32) -> u32 {
    a
}

/// A target that nobody has registered, as one is whose crate the linker has left out.
enum Lost {}

impl Target for Lost {
    const NAME: &'static str = "nowhere::lost";
    type Args<'job> = ();
    type Output = ();

    fn encode<'v>((): &'v (), _to: &mut Encoder<'v>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode_output(_bytes: Cow<'_, [u8]>) -> Result<(), CodecError> {
        Ok(())
    }

    fn index() -> &'static Index {
        static INDEX: Index = Index::new();
        &INDEX
    }
}

#[test]
fn an_unknown_target_lists_the_registered_ones_and_the_remedy() {
    let text = Registry::global().unwrap().index_of::<Lost>().unwrap_err().to_string();
    for hint in ["nowhere::lost", registered::NAME, "use that_crate as _;"] {
        assert!(text.contains(hint), "{text}");
    }
    assert_eq!(registered(1), 1);
    assert!(<registered as Target>::NAME.ends_with("::registered"));
}
