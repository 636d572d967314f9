//! The Markdown pages: links that lead somewhere, a README that can be read, and no program that nobody compiles.

/// The pages that a reader of the repository expects.
pub(crate) const REQUIRED: &[&str] = &["README.md", "ARCHITECTURE.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md"];

const LONGEST_README: usize = 150;

/// Gives the text of a file by its path from the root, an empty one for a folder, none where nothing is.
pub(crate) type Look<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All that is wrong with one page.
pub(crate) fn check(path: &str, text: &str, look: Look<'_>) -> Vec<String> {
    let mut violations = links(path, text, look);
    let lines = text.lines().count();
    if path == "README.md" && lines > LONGEST_README {
        violations.push(format!("{path}:1: {lines} lines, {LONGEST_README} at most: move details to the book"));
    }
    if path.starts_with("book/") {
        violations.extend(programs(path, text, look));
    }
    violations
}

/// Relative links that lead nowhere.
fn links(path: &str, text: &str, look: Look<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in prose(text) {
        for target in targets(&line) {
            let has_scheme = target
                .split_once(':')
                .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
            let file = target.split('#').next().unwrap_or_default();
            if !has_scheme && !file.is_empty() && look(&resolve(path, file)).is_none() {
                violations
                    .push(format!("{path}:{number}: the link `{target}` leads nowhere: point it at a file of the repository"));
            }
        }
    }
    violations
}

/// Programs in the book stand in files that are compiled; a page only shows them.
fn programs(path: &str, text: &str, look: Look<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut block: Option<(usize, bool)> = None;
    let message =
        "a program nobody compiles: put it into a file under examples/ or tests/, and show it with `{{#include FILE:ANCHOR}}`";
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        match block {
            _ if !is_fence(line) => {
                if let Some((_, true)) = block
                    && !line.is_empty()
                    && let Err(reason) = included(path, line, look)
                {
                    let reason = if reason.is_empty() { message } else { &reason };
                    violations.push(format!("{path}:{number}: {reason}"));
                }
            }
            None => {
                let tag = line.trim_start_matches(['`', '~', ' ']);
                let tag = tag.split([',', ' ', '{']).next().unwrap_or_default();
                block = Some((number, tag == "rust" || tag == "rs"));
            }
            Some(_) => block = None,
        }
    }
    if let Some((number, _)) = block {
        violations.push(format!("{path}:{number}: this code block never ends: close it"));
    }
    violations
}

/// Whether a line of a program is an include of something that exists; the reason, empty for a line of code, if not.
fn included(path: &str, line: &str, look: Look<'_>) -> Result<(), String> {
    let inside = line
        .strip_prefix("{{#include ")
        .or_else(|| line.strip_prefix("{{#rustdoc_include "))
        .and_then(|rest| rest.strip_suffix("}}"))
        .ok_or_else(String::new)?
        .trim();
    let (file, anchor) = inside.split_once(':').unwrap_or((inside, ""));
    let text = look(&resolve(path, file)).ok_or_else(|| format!("`{file}` does not exist: name a file from this page's folder"))?;
    let has_anchor = text
        .lines()
        .any(|line| line.split_once("ANCHOR: ").is_some_and(|(before, name)| !before.ends_with("_END") && name.trim() == anchor));
    if anchor.is_empty() || has_anchor {
        Ok(())
    } else {
        Err(format!("`{file}` has no `// ANCHOR: {anchor}`: line numbers move, anchors stay"))
    }
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// The numbered lines outside code, with inline code blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut in_block = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if is_fence(line.trim()) {
            in_block = !in_block;
        } else if !in_block {
            let parts = line.split('`').enumerate();
            let words: Vec<&str> = parts.map(|(at, part)| if at % 2 == 0 { part } else { "" }).collect();
            lines.push((number, words.join("`")));
        }
    }
    lines
}

/// What a line links to: `[…](target)`, `[…]: target`, `href="target"`, `src="target"`.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in [("](", ')'), ("href=\"", '"'), ("src=\"", '"')] {
        for (at, _) in line.match_indices(open) {
            let rest = &line[at + open.len()..];
            found.extend(rest.split(close).next().map(str::to_owned));
        }
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(target.to_owned());
    }
    // A title may follow the target, and brackets may hold it.
    let bare = |target: String| {
        let target = target.trim();
        let target = target.split(" \"").next().unwrap_or_default();
        target.trim_matches(['<', '>']).to_owned()
    };
    found.into_iter().map(bare).collect()
}

/// The path from the root that `target` means on the page `path`.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod caught {
    use super::*;

    fn tree(path: &str) -> Option<String> {
        match path {
            "DESIGN.md" | "book/src/failure.md" | "examples" => Some(String::new()),
            "examples/hello.rs" => Some("// ANCHOR: main\nfn main() {}\n// ANCHOR_END: main\n".to_owned()),
            _ => None,
        }
    }

    fn count(path: &str, text: &str) -> usize {
        check(path, text, &tree).len()
    }

    #[test]
    fn a_link_that_leads_nowhere() {
        for text in [
            "See [x](nowhere.md).",
            "[x]: nowhere.md",
            "<img src=\"no.png\">",
            "![x](no.png \"title\")",
            "[x](DESIGN.md) [y](book/src/no.md#a)",
        ] {
            assert_eq!(count("README.md", text), 1, "{text}");
        }
        let good = "[a](DESIGN.md#why), [b](https://x.example/y), [c](#here), [d](examples/), `[e](no.md)`\n```\n[f](no.md)\n```";
        assert_eq!(count("README.md", good), 0);
        assert_eq!(count("book/src/intro.md", "[a](failure.md) [b](../../DESIGN.md)"), 0);
        assert_eq!(count("book/src/intro.md", "[a](DESIGN.md)"), 1);
    }

    #[test]
    fn a_long_readme() {
        assert_eq!(count("README.md", &"line\n".repeat(151)), 1);
        assert_eq!(count("README.md", &"line\n".repeat(150)), 0);
        assert_eq!(count("DESIGN.md", &"line\n".repeat(151)), 0);
    }

    #[test]
    fn a_program_that_nobody_compiles() {
        let page = "book/src/intro.md";
        let block = |tag: &str, body: &str| format!("Text.\n\n```{tag}\n{body}\n```\n");
        for tag in ["rust", "rust,ignore", "rust,no_run"] {
            assert_eq!(count(page, &block(tag, "fn main() {}")), 1, "{tag}");
            assert_eq!(count(page, &block(tag, "{{#rustdoc_include ../../examples/hello.rs:main}}")), 0, "{tag}");
        }
        assert_eq!(count(page, &block("rust", "{{#include ../../examples/hello.rs}}")), 0);
        assert_eq!(count(page, &block("rust", "{{#include ../../examples/hello.rs:other}}")), 1);
        assert_eq!(count(page, &block("rust", "{{#include ../../examples/hello.rs:1:3}}")), 1);
        assert_eq!(count(page, &block("rust", "{{#include ../../examples/lost.rs:main}}")), 1);
        assert_eq!(count(page, &block("console", "$ cargo run")), 0);
        assert_eq!(count(page, "```rust\n"), 1);
        assert_eq!(count("README.md", &block("rust", "fn main() {}")), 0);
    }
}
