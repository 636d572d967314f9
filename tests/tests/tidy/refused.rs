//! What the sources must not hold, each with what to write in its place.

use crate::source::{Source, words_in};

/// A path that library code must not name, and its replacement.
const REFUSED: &[(&[&str], &str)] = &[
    (&["std", "process", "exit"], "return from the loop, or end the process through `crate::sys` with a named exit code"),
    (&["std", "process", "abort"], "return an error; a worker that cannot go on ends through `crate::sys` with a named exit code"),
    (&["std", "thread", "sleep"], "wait for the event itself: a futex, a descriptor, or a deadline of the supervisor"),
    (&["std", "process", "Command", "new"], "start children through `crate::start`, which stands on `crate::sys`"),
    (&["libc"], "use or add a safe type in `mpm-runtime/src/sys/`"),
];

/// The code that ships.
const LIBRARY: &[&str] = &["mpm-runtime/src/", "mpm-macros/src/"];

const SYS: &str = "mpm-runtime/src/sys/";

/// The one file of the tests that may poll.
const POLLING_DOOR: &str = "tests/src/wait.rs";

/// A job may sleep, because that is what it is there for; then its line ends with these words.
const JOB_SLEEPS: &str = "// the job's own work";

fn is_library(file: &Source) -> bool {
    LIBRARY.iter().any(|folder| file.path.starts_with(folder))
}

/// Whether `segments` spell `refused`, in full or, where no `use` tells the origin, by the last two words.
fn spells(segments: &[String], refused: &[&str]) -> bool {
    let is = |range: &[String], words: &[&str]| range.iter().eq(words.iter());
    let tail = &refused[refused.len().saturating_sub(2)..];
    (segments.len() >= refused.len() && is(&segments[..refused.len()], refused))
        || (refused.len() > 1 && segments.len() == 2 && is(segments, tail))
        || (refused == ["libc"] && segments.iter().any(|segment| segment == "libc"))
}

/// Calls that belong in `sys/`, or nowhere.
pub(crate) fn calls(file: &Source) -> Vec<String> {
    if !is_library(file) || file.path.starts_with(SYS) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for path in file.full_paths().iter().filter(|path| !file.is_test(path.at)) {
        for (refused, replacement) in REFUSED {
            if spells(&path.segments, refused) {
                let message = format!("`{}` is refused here: {replacement}", refused.join("::"));
                violations.push(file.at(path.at, &message));
            }
        }
    }
    violations
}

/// Sleeps in tests; they hide a wait for an event.
pub(crate) fn sleeps_in_tests(file: &Source) -> Vec<String> {
    if file.path == POLLING_DOOR {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let message = format!(
        "`thread::sleep` in a test: wait for the event, or use `mpm_tests::wait_until`; \
         where a job sleeps, end the line with `{JOB_SLEEPS}`"
    );
    file.full_paths()
        .iter()
        .filter(|path| spells(&path.segments, &["std", "thread", "sleep"]) && file.is_test(path.at))
        .filter(|path| !lines[file.line_of(path.at)].trim_end().ends_with(JOB_SLEEPS))
        .map(|path| file.at(path.at, &message))
        .collect()
}

/// `allow` stays silent when its reason is gone; `expect` does not.
pub(crate) fn allows(file: &Source) -> Vec<String> {
    // The templates of the macros speak for code that we do not see.
    if file.path.starts_with("mpm-macros/src/") {
        return Vec::new();
    }
    file.attributes()
        .into_iter()
        .filter(|range| {
            let attribute = &file.code[range.clone()];
            words_in(attribute, "allow").any(|at| attribute[at..].starts_with("allow("))
        })
        .map(|range| file.at(range.start, "`allow` is refused: write `#[expect(lint, reason = \"…\")]`"))
        .collect()
}

/// Marks of unfinished work.
pub(crate) fn unfinished(file: &Source) -> Vec<String> {
    let message = "unfinished work is refused: finish it, or take it out";
    let mut places = Vec::new();
    for name in ["todo", "unimplemented"] {
        places.extend(file.words(name).filter(|at| file.code[at + name.len()..].starts_with('!')));
    }
    for range in file.attributes() {
        let ignored = words_in(&file.code[range.clone()], "ignore").next().is_some();
        places.extend(ignored.then_some(range.start));
    }
    for mark in [concat!("FIX", "ME"), concat!("X", "XX")] {
        places.extend(words_in(&file.text, mark));
    }
    places.sort_unstable();
    places.into_iter().map(|at| file.at(at, message)).collect()
}

/// Library code that can panic says why it cannot.
pub(crate) fn unwraps(file: &Source) -> Vec<String> {
    if !is_library(file) {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let message = "return an error, or say in a comment right above, beginning `// Cannot fail:`, why it cannot happen";
    let mut places: Vec<usize> = [".unwrap()", ".expect(\"", ".expect(&"]
        .iter()
        .flat_map(|call| file.code.match_indices(call).map(|(at, _)| at))
        .filter(|at| !file.is_test(*at) && !is_explained(&lines, file.line_of(*at)))
        .collect();
    places.sort_unstable();
    places.into_iter().map(|at| file.at(at, message)).collect()
}

/// Whether the comment above the statement on `line` explains it; a chain of calls belongs to the line that it starts on.
fn is_explained(lines: &[&str], line: usize) -> bool {
    let start = (0..=line).rev().find(|at| !lines[*at].starts_with('.')).unwrap_or(line);
    let comment = |at: usize| {
        lines[..at].iter().rev().take_while(|text| text.starts_with("//")).any(|text| text.starts_with("// Cannot fail:"))
    };
    comment(line) || comment(start)
}

#[cfg(test)]
mod caught {
    use super::*;

    const POOL: &str = "mpm-runtime/src/pool/mod.rs";

    fn count(check: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn calls_that_belong_in_sys() {
        let bad = [
            "fn f() { std::process::exit(1) }",
            "use std::process; fn f() { process::abort() }",
            "use std::process::{Child, exit};",
            "use std::thread; fn f() { thread::sleep(d) }",
            "use std::thread as t; fn f() { t::sleep(d) }",
            "use std::process::*; fn f() { Command::new(\"ls\") }",
            "use std::process::Command; fn f() { Command::new(\"ls\") }",
            "fn f() { libc::getpid() }",
            "use nix::libc::pid_t;",
        ];
        for text in bad {
            assert_eq!(count(calls, POOL, text), 1, "{text}");
            assert_eq!(count(calls, "mpm-runtime/src/sys/process.rs", text), 0, "{text}");
            assert_eq!(count(calls, "tests/tests/pool.rs", text), 0, "{text}");
        }
        let good = "use crate::sys::process;\n// std::process::exit\nfn f() { process::exit(Code::Lost) }\n\
                    #[cfg(test)]\nmod tests { fn g() { std::process::Command::new(\"ls\"); } }";
        assert_eq!(count(calls, POOL, good), 0);
    }

    #[test]
    fn a_sleep_in_a_test() {
        let sleep = "fn f() { std::thread::sleep(d); }";
        assert_eq!(count(sleeps_in_tests, "tests/tests/pool.rs", sleep), 1);
        assert_eq!(count(sleeps_in_tests, POOL, &format!("#[cfg(test)]\nmod tests {{ {sleep} }}")), 1);
        assert_eq!(count(sleeps_in_tests, "tests/tests/pool.rs", &format!("{sleep} {JOB_SLEEPS}")), 0);
        assert_eq!(count(sleeps_in_tests, POLLING_DOOR, sleep), 0);
    }

    #[test]
    fn an_allow() {
        for text in ["#[allow(dead_code)]", "#![allow(dead_code)]", "#[cfg_attr(loom, allow(dead_code))]"] {
            assert_eq!(count(allows, POOL, text), 1, "{text}");
            assert_eq!(count(allows, "mpm-macros/src/expand.rs", text), 0, "{text}");
        }
        assert_eq!(count(allows, POOL, "#[expect(dead_code)] fn allow() { x.allow(1) }"), 0);
    }

    #[test]
    fn unfinished_work() {
        let marks = [concat!("// FIX", "ME: later"), concat!("/* X", "XX */")];
        for text in ["todo!()", "unimplemented!(\"x\")", "#[ignore]", "#[ignore = \"slow\"]"] {
            assert_eq!(count(unfinished, POOL, text), 1, "{text}");
        }
        for text in marks {
            assert_eq!(count(unfinished, POOL, text), 1, "{text}");
        }
        assert_eq!(count(unfinished, POOL, concat!("// a todo! list\nlet todo = \"mkstemp.X", "XXXXX\";")), 0);
    }

    #[test]
    fn an_unwrap_without_a_reason() {
        let bad = ["let a = b.unwrap();", "let a = b\n    .c()\n    .expect(\"d\");", "// Why not.\nb.unwrap();"];
        for text in bad {
            assert_eq!(count(unwraps, POOL, text), 1, "{text}");
            assert_eq!(count(unwraps, "examples/hello.rs", text), 0, "{text}");
        }
        let good = [
            "// Cannot fail: it was checked\n// two lines above.\nlet a = b.unwrap();",
            "// Cannot fail: c was set.\nlet a = b\n    .c()\n    .expect(\"d\");",
            "#[expect(dead_code)]\n#[cfg(test)]\nmod tests { fn f() { a.unwrap() } }",
            "/// a.unwrap()\nlet a = b.unwrap_or(1);",
        ];
        for text in good {
            assert_eq!(count(unwraps, POOL, text), 0, "{text}");
        }
    }
}
