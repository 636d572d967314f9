//! The form of a file: its header, its length, and that a `mod.rs` is only the list of its room.

use crate::source::{Source, closing};

/// A longer file is two files.
const LONGEST: usize = 600;
/// From here on the header gives the reason.
const LONG: usize = 300;
/// The words of a header that gives it.
const REASON: &str = "Longer than";

/// A file says first what it is for.
pub(crate) fn header(file: &Source) -> Vec<String> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![file.at(0, "open with `//!`: what this file is for, what enters, what leaves")]
}

/// A file can be read at one sitting, or says why not.
pub(crate) fn length(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    let is_excused = file.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains(REASON));
    if lines > LONGEST {
        vec![file.at(0, &format!("{lines} lines, {LONGEST} at most: split it by its nouns"))]
    } else if lines > LONG && !is_excused {
        let message = format!("{lines} lines: split it, or give the reason in the header (“{REASON} {LONG} lines, because …”)");
        vec![file.at(0, &message)]
    } else {
        Vec::new()
    }
}

/// A `mod.rs` holds docs, attributes, `mod` lines and re-exports.
pub(crate) fn module_lists(file: &Source) -> Vec<String> {
    if !file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let mut code = file.code.clone().into_bytes();
    for range in file.attributes() {
        code[range].fill(b' ');
    }
    let mut violations = Vec::new();
    let mut at = 0;
    while let Some(skip) = code[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        let start = at + skip;
        let stop = |byte: &u8| matches!(byte, b';' | b'{');
        let mut end = code[start..].iter().position(stop).map_or(code.len(), |n| start + n);
        let head = String::from_utf8_lossy(&code[start..end]).into_owned();
        let is_use = starts_with_word(&head, "use");
        let has_braces = code.get(end) == Some(&b'{');
        if has_braces {
            end = closing(&code, end);
        }
        if !(is_use || (starts_with_word(&head, "mod") && !has_braces)) {
            let message = "a `mod.rs` holds docs, `mod` lines and re-exports: move this into a file of its own";
            violations.push(file.at(start, message));
        }
        at = end + usize::from(code.get(end) == Some(&b';'));
    }
    violations
}

/// Whether an item is of this kind, whatever its visibility.
fn starts_with_word(head: &str, word: &str) -> bool {
    let bare = head.strip_prefix("pub").map_or(head, |rest| match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')').map_or(scope, |(_, item)| item),
        None => rest,
    });
    bare.split_whitespace().next() == Some(word)
}

#[cfg(test)]
mod caught {
    use super::*;

    #[test]
    fn a_file_without_a_header() {
        assert_eq!(
            header(&Source::new("a.rs", "// A.\nfn f() {}")),
            ["a.rs:1: open with `//!`: what this file is for, what enters, what leaves"]
        );
        assert!(header(&Source::new("a.rs", "//! A.\n")).is_empty());
    }

    #[test]
    fn a_long_file() {
        let check = |head: &str, lines: usize| length(&Source::new("a.rs", &format!("{head}\n{}", "\n".repeat(lines)))).len();
        assert_eq!(check("//! A.", 200), 0);
        assert_eq!(check("//! A.", 301), 1);
        assert_eq!(check("//! Longer than 300 lines, because so.", 301), 0);
        assert_eq!(check("//! A.\n\n// Longer than others.", 301), 1);
        assert_eq!(check("//! Longer than 300 lines, because so.", 601), 1);
    }

    #[test]
    fn logic_in_a_module_list() {
        let check = |text: &str| module_lists(&Source::new("link/mod.rs", text));
        for text in
            ["fn f() { a; b }", "mod a { fn b() {} }", "pub(crate) struct A;", "const A: u8 = 1;", "mod a;\nimpl A {}\nmod b;"]
        {
            assert_eq!(check(text).len(), 1, "{text}: {:?}", check(text));
        }
        let good = "//! A.\n#![expect(unsafe_code, reason = \"b; c {\")]\nmod a;\n#[cfg(test)]\nmod tests;\n\
                    pub(crate) mod b;\n/// C.\npub use a::{B, c::D};\npub(in crate::link) use b::*;\nuse a::E;\n";
        assert!(check(good).is_empty(), "{:?}", check(good));
        assert!(module_lists(&Source::new("link/ring.rs", "fn f() {}")).is_empty());
    }
}
