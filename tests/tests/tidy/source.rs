//! Reads Rust just well enough for the checks: what is code and what is prose, which paths are named, where attributes,
//! modules and test-only items lie. A file enters as path and text; nothing here touches the disk.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::paths::Named;
use crate::prose::blank_prose;

/// One source file, as the checks see it.
pub(crate) struct Source {
    /// Relative to the root of the workspace, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; offsets and lines are those of `text`.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Source { path: path.to_owned(), text: text.to_owned(), code: blank_prose(text) }
    }

    /// A violation, in the form that editors and terminals can follow.
    pub(crate) fn at(&self, offset: usize, message: &str) -> String {
        format!("{}:{}: {message}", self.path, self.line_of(offset) + 1)
    }

    /// The number of the line that holds `offset`, counted from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Every offset at which `word` stands in the code as a word of its own.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words_in(&self.code, word)
    }

    /// Every path in the code as it is written; groups of a `use` are taken apart.
    pub(crate) fn paths(&self) -> Vec<Named> {
        Named::all(&self.code)
    }

    /// The same paths, each spelled from its origin as far as the `use` lines of this file tell.
    pub(crate) fn full_paths(&self) -> Vec<Named> {
        let mut paths = self.paths();
        let origins: BTreeMap<String, Vec<String>> =
            paths.iter().filter_map(|path| Some((path.brought_in_as.clone()?, path.segments.clone()))).collect();
        for path in paths.iter_mut().filter(|path| path.brought_in_as.is_none()) {
            if let Some(origin) = origins.get(&path.segments[0]) {
                path.segments.splice(..1, origin.iter().cloned());
            }
        }
        paths
    }

    /// Where `#[…]` and `#![…]` lie, brackets included.
    pub(crate) fn attributes(&self) -> Vec<Range<usize>> {
        let bytes = self.code.as_bytes();
        let opens = |at: &usize| self.code[*at..].starts_with("#[") || self.code[*at..].starts_with("#![");
        let starts: Vec<usize> = self.code.match_indices('#').map(|(at, _)| at).filter(opens).collect();
        starts
            .into_iter()
            .map(|start| {
                let bracket = start + if bytes[start + 1] == b'!' { 2 } else { 1 };
                start..closing(bytes, bracket)
            })
            .collect()
    }

    /// Whether `offset` lies in code that only tests contain.
    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.is_test_file() || self.test_items().iter().any(|item| item.contains(&offset))
    }

    /// How many `mod name { … }` of this file surround `offset`.
    pub(crate) fn inline_modules(&self, offset: usize) -> usize {
        let bytes = self.code.as_bytes();
        self.words("mod")
            .filter_map(|at| {
                let name = skip_space(bytes, at + "mod".len());
                let brace = skip_space(bytes, name + word_at(bytes, name).len());
                (bytes.get(brace) == Some(&b'{')).then(|| brace..closing(bytes, brace))
            })
            .filter(|module| module.contains(&offset))
            .count()
    }

    fn is_test_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
            || self
                .attributes()
                .iter()
                .any(|range| self.code[range.clone()].starts_with("#![") && is_for_tests(&self.code[range.clone()]))
    }

    /// The items behind `#[cfg(test)]`, `#[cfg(all(test, loom))]` and the like, and behind `#[test]`.
    fn test_items(&self) -> Vec<Range<usize>> {
        let bytes = self.code.as_bytes();
        let attributes = self.attributes();
        attributes
            .iter()
            .filter(|range| is_for_tests(&self.code[(*range).clone()]))
            .map(|range| {
                let mut start = skip_space(bytes, range.end);
                while let Some(next) = attributes.iter().find(|other| other.start == start) {
                    start = skip_space(bytes, next.end);
                }
                range.start..end_of_item(bytes, start)
            })
            .collect()
    }
}

/// Whether an attribute keeps its item out of all builds but those of tests.
fn is_for_tests(attribute: &str) -> bool {
    let inside = attribute.trim_start_matches(['#', '!', '[']).trim_end_matches(']');
    inside == "test" || (inside.starts_with("cfg(") && words_in(inside, "test").next().is_some() && !inside.contains("not(test"))
}

/// The offset behind the item that starts at `at`: behind its braces, or behind its semicolon.
fn end_of_item(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => return closing(bytes, at),
            b';' => return at + 1,
            b'(' | b'[' => at = closing(bytes, at),
            _ => at += 1,
        }
    }
    at
}

/// The offset behind the bracket that closes the one at `open`, whatever its kind.
pub(crate) fn closing(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    bytes.len()
}

pub(crate) fn words_in<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let part = move |at: Option<&u8>| at.is_some_and(|byte| is_word(*byte));
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !part(bytes.get(at + word.len())))
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

pub(crate) fn word_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = &bytes[at.min(bytes.len())..];
    let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    &rest[..end]
}

pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

#[test]
fn test_items_and_modules_have_ends() {
    let text = "fn a() {}\n#[cfg(all(test, loom))]\n#[path = \"x\"]\nmod b { fn c() {} }\nfn d() {}\n#[cfg(not(test))]\nfn e() {}";
    let file = Source::new("mpm-runtime/src/x.rs", text);
    let at = |what: &str| file.code.find(what).unwrap();
    assert!(file.is_test(at("fn c")) && !file.is_test(at("fn a")));
    assert!(!file.is_test(at("fn d")) && !file.is_test(at("fn e")));
    assert_eq!(file.inline_modules(at("fn c")), 1);
    assert_eq!(file.inline_modules(at("fn d")), 0);
}
