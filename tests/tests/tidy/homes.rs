//! What has few homes: the atomics come through one door, `unsafe` lives in `sys/` and in a short list of files.

use crate::source::Source;

const RUNTIME: &str = "mpm-runtime/src/";
const SYS: &str = "mpm-runtime/src/sys/";

/// The one file that names the atomics of std or of loom; everybody else takes them from it.
const ATOMICS_DOOR: &str = "mpm-runtime/src/link/sync.rs";

/// The models that run under loom, and so name it.
const MODELS: &[&str] = &[
    "mpm-runtime/src/link/tests/item_models.rs",
    "mpm-runtime/src/link/tests/models.rs",
    "mpm-runtime/src/link/tests/talk_models.rs",
];

/// The homes of `unsafe` outside `sys/`: raw copies of the ring, the functions whose callers promise that threads do not matter to
/// a fork, and tests that scribble, signal or count allocations.
const UNSAFE_FILES: &[&str] = &[
    "mpm-runtime/src/link/memory.rs",
    "mpm-runtime/src/pool/builder.rs",
    "mpm-runtime/src/process/builder.rs",
    "mpm-runtime/src/process/isolate.rs",
    "tests/src/allocations.rs",
    "tests/src/calls.rs",
    "tests/src/process.rs",
    "tests/src/sandbox.rs",
    "tests/src/system.rs",
    "tests/tests/behaviours_a/promised.rs",
    "tests/tests/garbage.rs",
    "tests/tests/start/pools.rs",
];

/// Atomics come through one door, so that loom can stand behind it.
pub(crate) fn atomics(file: &Source) -> Vec<String> {
    if !file.path.starts_with(RUNTIME) || file.path == ATOMICS_DOOR || MODELS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let is_atomic = |segments: &[String]| {
        let head: Vec<&str> = segments.iter().take(3).map(String::as_str).collect();
        matches!(head[..], ["std" | "core", "sync", "atomic"] | ["loom", ..])
    };
    file.full_paths()
        .iter()
        .filter(|path| is_atomic(&path.segments))
        .map(|path| file.at(path.at, "atomics come through one door: use `crate::link::sync`"))
        .collect()
}

/// `unsafe` stays in `sys/` and in the listed files.
pub(crate) fn unsafe_homes(file: &Source) -> Vec<String> {
    if file.path.starts_with(SYS) || UNSAFE_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let message = "`unsafe` lives in `mpm-runtime/src/sys/`: put a safe type there and use it, \
                   or list this file in UNSAFE_FILES (tests/tests/tidy/homes.rs)";
    file.words("unsafe").map(|at| file.at(at, message)).collect()
}

/// A home of `unsafe` has it, and says why it is needed: in the file, or in a `mod.rs` above it in the same room.
pub(crate) fn unsafe_reasons(files: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let says_why = |file: &Source| {
        let parts = ["expect(", "unsafe_code", "reason"];
        let is_reason = |attribute: &str| parts.iter().all(|part| attribute.contains(part));
        file.attributes().into_iter().any(|range| is_reason(&file.code[range]))
    };
    for listed in UNSAFE_FILES {
        let folder = listed.rsplit_once('/').map_or("", |(folder, _)| folder);
        match find(listed) {
            Some(file) if file.words("unsafe").next().is_none() => {
                violations.push(file.at(0, "holds no `unsafe` any more: take it out of UNSAFE_FILES"));
            }
            None if files.iter().any(|file| file.path.starts_with(&format!("{folder}/"))) => {
                violations.push(format!("{listed}:1: does not exist: take it out of UNSAFE_FILES"));
            }
            _ => {}
        }
    }
    let has_home = |file: &&Source| file.path.starts_with(SYS) || UNSAFE_FILES.contains(&file.path.as_str());
    for file in files.iter().filter(has_home) {
        let Some(at) = file.words("unsafe").next() else {
            continue;
        };
        let above = file.path.match_indices('/').map(|(at, _)| format!("{}/mod.rs", &file.path[..at]));
        if !says_why(file) && !above.filter_map(|path| find(&path)).any(says_why) {
            let message = "say why: `#![expect(unsafe_code, reason = \"…\")]` here or on its line in `mod.rs`";
            violations.push(file.at(at, message));
        }
    }
    violations
}

#[cfg(test)]
mod caught {
    use super::*;

    #[track_caller]
    fn one(violations: &[String], expected: &[&str]) {
        assert_eq!(violations.len(), 1, "{violations:?}");
        for part in expected {
            assert!(violations[0].contains(part), "{part} is not in {violations:?}");
        }
    }

    #[test]
    fn atomics_beside_the_door() {
        let check = |path, text| atomics(&Source::new(path, text));
        let bad = [
            "use std::sync::atomic::AtomicU32;",
            "use std::{io, sync::{Arc, atomic::{AtomicU32, Ordering}}};",
            "static A: core::sync::atomic::AtomicBool = b();",
            "use std::sync; static A: sync::atomic::AtomicBool = b();",
            "use loom::thread;",
        ];
        for text in bad {
            assert!(!check("mpm-runtime/src/pool/queue.rs", text).is_empty(), "{text}");
            assert!(check(ATOMICS_DOOR, text).is_empty(), "{text}");
        }
        let good = "use crate::link::sync::atomic::AtomicU32; use std::sync::Arc;";
        assert!(check("mpm-runtime/src/pool/queue.rs", good).is_empty());
    }

    #[test]
    fn unsafe_away_from_home() {
        let text = "//! Nothing unsafe here.\n#![deny(unsafe_code)]\nfn f() { unsafe { g() } }";
        let found = unsafe_homes(&Source::new("mpm-runtime/src/pool/queue.rs", text));
        one(&found, &["queue.rs:3:", "sys/"]);
        assert!(unsafe_homes(&Source::new("mpm-runtime/src/sys/futex.rs", text)).is_empty());
    }

    #[test]
    fn unsafe_without_a_reason() {
        let file = |path, text| Source::new(path, text);
        let (futex, bare) = ("mpm-runtime/src/sys/futex.rs", "fn f() { unsafe { g() } }");
        one(&unsafe_reasons(&[file(futex, bare)]), &["futex.rs:1:", "say why"]);
        let why = "#[expect(unsafe_code, reason = \"system calls\")]\nmod futex;";
        let excused = [file(futex, bare), file("mpm-runtime/src/sys/mod.rs", why)];
        assert!(unsafe_reasons(&excused).is_empty());
        let left = unsafe_reasons(&[file("tests/src/process.rs", "fn f() {}")]);
        assert!(left.iter().any(|found| found.contains("process.rs:1: holds no `unsafe` any more")), "{left:?}");
        one(&unsafe_reasons(&[file("mpm-runtime/src/link/mod.rs", "")]), &["link/memory.rs", "does not exist"]);
    }
}
