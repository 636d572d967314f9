//! The habits of the house that a machine can check: each test reads the sources and reports every violation with its
//! place and what to write instead. CONTRIBUTING.md gives the reasons.
//!
//! A check is a pure function over a file's path and text, so each stands beside a test that shows it a bad snippet.

#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/prose.rs"]
mod prose;
#[path = "tidy/refused.rs"]
mod refused;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use source::Source;

#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} to put right:\n{}\n", violations.len(), violations.join("\n"));
}

#[track_caller]
fn in_every_file(check: fn(&Source) -> Vec<String>) {
    none(&tree::sources().iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn files_open_with_what_they_are_for() {
    in_every_file(shape::header);
}

#[test]
fn files_can_be_read_at_one_sitting() {
    in_every_file(shape::length);
}

#[test]
fn module_lists_hold_no_logic() {
    in_every_file(shape::module_lists);
}

#[test]
fn rooms_see_lower_layers_only() {
    in_every_file(rooms::layers);
}

#[test]
fn atomics_come_through_one_door() {
    in_every_file(homes::atomics);
}

#[test]
fn unsafe_stays_at_home() {
    in_every_file(homes::unsafe_homes);
}

#[test]
fn unsafe_has_its_reason() {
    none(&homes::unsafe_reasons(&tree::sources()));
}

#[test]
fn calls_of_the_system_stay_in_sys() {
    in_every_file(refused::calls);
}

#[test]
fn tests_do_not_sleep() {
    in_every_file(refused::sleeps_in_tests);
}

#[test]
fn lints_are_expected_and_not_allowed() {
    in_every_file(refused::allows);
}

#[test]
fn nothing_is_unfinished() {
    in_every_file(refused::unfinished);
}

#[test]
fn library_code_explains_its_unwraps() {
    in_every_file(refused::unwraps);
}

#[test]
fn pages_are_there_and_lead_somewhere() {
    let mut violations = Vec::new();
    let required = pages::REQUIRED.iter().map(|page| (*page).to_owned());
    for page in required.chain(tree::book_pages()) {
        match tree::look(&page) {
            Some(text) => violations.extend(pages::check(&page, &text, &tree::look)),
            None => violations.push(format!("{page}:1: does not exist: a reader expects it")),
        }
    }
    none(&violations);
}
