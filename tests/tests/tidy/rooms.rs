//! Who may know whom: the layers of `mpm-runtime/src`, as one table.

use crate::source::Source;

/// What a room may name of the rest of the crate.
#[derive(Clone, Copy, PartialEq)]
enum Sees {
    /// Rooms on a lower layer.
    Lower,
    /// Only itself.
    Itself,
}

struct Room {
    name: &'static str,
    layer: u8,
    sees: Sees,
}

const fn room(layer: u8, name: &'static str, sees: Sees) -> Room {
    Room { name, layer, sees }
}

/// The table of ARCHITECTURE.md. `lib.rs` and `init.rs` put the rooms together, so they stand above it.
const ROOMS: &[Room] = &[
    room(0, "error", Sees::Itself),
    room(0, "trace", Sees::Itself),
    room(1, "sys", Sees::Itself),
    room(2, "link", Sees::Lower),
    room(3, "codec", Sees::Lower),
    room(4, "registry", Sees::Lower),
    room(5, "start", Sees::Lower),
    room(6, "worker", Sees::Lower),
    room(6, "pool", Sees::Lower),
    room(6, "process", Sees::Lower),
    room(6, "shared", Sees::Lower),
    room(7, "observe", Sees::Lower),
    room(7, "signals", Sees::Lower),
    room(8, "cluster", Sees::Lower),
];

/// The files that know all rooms.
const TOP: &[&str] = &["lib", "init"];

const RUNTIME: &str = "mpm-runtime/src/";

/// Every path that leaves a room must go down.
pub(crate) fn layers(file: &Source) -> Vec<String> {
    let Some(inside) = file.path.strip_prefix(RUNTIME) else {
        return Vec::new();
    };
    let own = inside.split(['/', '.']).next().unwrap_or_default();
    if TOP.contains(&own) {
        return Vec::new();
    }
    let Some(from) = ROOMS.iter().find(|room| room.name == own) else {
        return vec![file.at(0, &format!("`{own}` has no layer: add it to ROOMS in tests/tests/tidy/rooms.rs"))];
    };
    let mut violations = Vec::new();
    for path in file.paths() {
        let depth = module_depth(inside) + file.inline_modules(path.at);
        let Some(to) = first_below_root(&path.segments, depth) else {
            continue;
        };
        let is_macro = file.code[path.at..].starts_with(&format!("{}!", path.segments.join("::")));
        if to != own
            && !is_macro
            && let Some(reason) = refusal(from, to)
        {
            violations.push(file.at(path.at, &reason));
        }
    }
    violations
}

/// Why `from` may not name `to`; none if it may.
fn refusal(from: &Room, to: &str) -> Option<String> {
    let own = from.name;
    let Some(target) = ROOMS.iter().find(|room| room.name == to) else {
        return Some(if TOP.contains(&to) {
            format!("`{own}` names `{to}`, which stands above all rooms: have the value handed in")
        } else {
            format!("`{own}` reaches `{to}` through the root of the crate: name the room that it lives in")
        });
    };
    let (from_layer, to_layer) = (from.layer, target.layer);
    if from.sees == Sees::Itself {
        Some(format!("`{own}` names `{to}`, but knows nothing of the crate: move what it needs into `{own}`"))
    } else if to_layer >= from_layer {
        Some(format!(
            "`{own}` (layer {from_layer}) names `{to}` (layer {to_layer}): \
             rooms see lower layers only; hand the value in, or move the item down"
        ))
    } else {
        None
    }
}

/// The module of the crate's root that a path goes through, if it starts there.
fn first_below_root(segments: &[String], depth: usize) -> Option<&str> {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let start = match segments[0].as_str() {
        "crate" | "mpm" => 1,
        "super" if ups >= depth => ups,
        _ => return None,
    };
    segments.get(start).map(String::as_str)
}

/// How many modules lie between the crate's root and the inside of this file, itself included.
fn module_depth(inside: &str) -> usize {
    inside.split('/').filter(|part| *part != "mod.rs").count()
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
    fn a_path_that_goes_up() {
        let bad = [
            "use crate::pool::Pool;",
            "use crate::{codec, pool};",
            "use crate::{error::{Error, Kind}, pool::{self}};",
            "fn f() { crate::pool::start(); }",
            "macro_rules! m { () => { $crate::pool::start() } }",
            "use super::super::pool;",
            "mod inner { use super::super::super::pool; }",
            "use mpm::pool;",
        ];
        for text in bad {
            let found = layers(&Source::new("mpm-runtime/src/start/spawn.rs", text));
            one(&found, &["mpm-runtime/src/start/spawn.rs:1:", "`start`", "`pool`"]);
        }
    }

    #[test]
    fn a_path_that_goes_sideways_or_to_the_top() {
        let pool = |text| layers(&Source::new("mpm-runtime/src/pool/mod.rs", text));
        one(&pool("use super::worker::run;"), &["`pool` (layer 6)", "`worker` (layer 6)"]);
        one(&pool("use crate::shared::Cell;"), &["`pool`", "`shared`"]);
        one(&pool("\nuse crate::init::token;"), &["mod.rs:2:", "`init`", "handed in"]);
        one(&pool("use crate::Error;"), &["`Error`", "through the root"]);
        one(&pool("use super::*;"), &["`*`", "through the root"]);
    }

    #[test]
    fn rooms_that_know_nothing() {
        let check = |path, text| layers(&Source::new(path, text));
        one(&check("mpm-runtime/src/sys/futex.rs", "use crate::error::Error;"), &["`sys`", "`error`"]);
        one(&check("mpm-runtime/src/error/mod.rs", "use crate::trace::warn;"), &["`error`", "`trace`"]);
        one(&check("mpm-runtime/src/trace.rs", "use crate::error::Error;"), &["`trace`", "`error`"]);
        one(&check("mpm-runtime/src/attic.rs", ""), &["`attic` has no layer"]);
    }

    #[test]
    fn paths_that_go_down_are_fine() {
        let text = "//! See `crate::pool`.\nuse crate::{error::Error, link::{self, ring::Ring}, sys};\n\
                    use super::handshake;\npub(in crate::start) fn f() { crate::warn!(\"crate::pool::x\") }\n\
                    mod tests { use super::*; use super::super::spawn; }";
        let found = layers(&Source::new("mpm-runtime/src/start/spawn.rs", text));
        assert!(found.is_empty(), "{found:?}");
        let found = layers(&Source::new("mpm-runtime/src/init.rs", "use crate::{pool, worker};"));
        assert!(found.is_empty(), "{found:?}");
    }
}
