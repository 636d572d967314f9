//! Reads the paths that code names: inline ones, and every branch of a `use`.

use crate::source::{Source, closing, is_word, skip_space, word_at};

/// A path that the code names, such as `std::thread::sleep`.
pub(crate) struct Named {
    pub(crate) at: usize,
    pub(crate) segments: Vec<String>,
    /// The name under which a `use` brings it in; none for a path in an expression or a type.
    pub(crate) brought_in_as: Option<String>,
}

impl Named {
    /// Every path in `code`, from which the prose is gone already.
    pub(crate) fn all(code: &str) -> Vec<Named> {
        Scanner { code: code.as_bytes(), at: 0, found: Vec::new() }.run()
    }
}

/// Walks over code and notes the paths.
struct Scanner<'a> {
    code: &'a [u8],
    at: usize,
    found: Vec<Named>,
}

impl Scanner<'_> {
    fn run(mut self) -> Vec<Named> {
        while self.at < self.code.len() {
            let word = self.word();
            if word.is_empty() {
                self.at += 1;
            } else if word == "use" && !self.sees("<") {
                self.use_tree(Vec::new());
            } else {
                self.inline_path(word);
            }
        }
        self.found
    }

    /// Takes the word at hand; an empty one where none is.
    fn word(&mut self) -> String {
        let word = String::from_utf8_lossy(word_at(self.code, self.at)).into_owned();
        self.at += word.len();
        word
    }

    fn sees(&self, text: &str) -> bool {
        self.code[self.at..].starts_with(text.as_bytes())
    }

    fn inline_path(&mut self, first: String) {
        let at = self.at - first.len();
        let mut segments = vec![first];
        while self.sees("::") && self.code.get(self.at + 2).is_some_and(|byte| is_word(*byte)) {
            self.at += 2;
            segments.push(self.word());
        }
        if segments.len() > 1 {
            self.found.push(Named { at, segments, brought_in_as: None });
        }
    }

    /// Reads one branch of a `use`, with everything below it.
    fn use_tree(&mut self, mut segments: Vec<String>) {
        loop {
            self.at = skip_space(self.code, self.at);
            if self.sees("::") {
                self.at += 2;
                continue;
            }
            if self.sees("{") {
                return self.use_group(&segments);
            }
            let at = self.at;
            let word = if self.sees("*") { "*".to_owned() } else { self.word() };
            if word.is_empty() {
                return;
            }
            self.at = at + word.len();
            if word != "self" || segments.is_empty() {
                segments.push(word);
            }
            self.at = skip_space(self.code, self.at);
            if !self.sees("::") {
                let name = self.renamed().or_else(|| segments.last().cloned());
                self.found.push(Named { at, segments, brought_in_as: name });
                return;
            }
        }
    }

    fn use_group(&mut self, segments: &[String]) {
        let end = closing(self.code, self.at) - 1;
        while self.at < end {
            // Steps over the opening brace, and then over each comma.
            self.at += 1;
            self.use_tree(segments.to_vec());
            self.at = skip_space(self.code, self.at);
        }
        self.at = end + 1;
    }

    fn renamed(&mut self) -> Option<String> {
        if word_at(self.code, self.at) != b"as" {
            return None;
        }
        self.at = skip_space(self.code, self.at + "as".len());
        Some(self.word())
    }
}

#[test]
fn paths_are_found_in_groups_and_through_names() {
    let text = "use std::{io, process::{self, Command as Run}, sync::atomic::*};\nfn f() { process::exit(1); Run::new(2) }";
    let file = Source::new("x.rs", text);
    let full: Vec<String> = file.full_paths().iter().map(|path| path.segments.join("::")).collect();
    let expected = [
        "std::io",
        "std::process",
        "std::process::Command",
        "std::sync::atomic::*",
        "std::process::exit",
        "std::process::Command::new",
    ];
    assert_eq!(full, expected);
}
