//! Finds the files of the workspace; everything that the checks read from the disk comes through here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// The folders that hold our sources.
const FOLDERS: &[&str] = &["mpm-macros", "mpm-runtime", "examples", "tests", "book"];

/// What a build leaves behind, and programs that must not compile.
const SKIPPED: &[&str] = &["target", "book/book", "tests/tests/ui"];

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the root").into()
}

/// All Rust files of the workspace.
pub(crate) fn sources() -> Vec<Source> {
    let files: Vec<Source> = below("rs").iter().map(|path| Source::new(path, &expect_text(path))).collect();
    assert!(files.len() > 5, "the sources were not found below {}", root().display());
    files
}

/// All pages of the book.
pub(crate) fn book_pages() -> Vec<String> {
    below("md").into_iter().filter(|path| path.starts_with("book/src/")).collect()
}

/// The text of a file, an empty one for a folder, none where nothing is.
pub(crate) fn look(path: &str) -> Option<String> {
    let full = root().join(path);
    if full.is_dir() { Some(String::new()) } else { fs::read_to_string(full).ok() }
}

fn expect_text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files with this extension, as paths from the root, sorted.
fn below(extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<String> = FOLDERS.iter().map(|folder| (*folder).to_owned()).collect();
    while let Some(folder) = folders.pop() {
        // The book comes later than the code; a folder that is not there holds no files.
        let Ok(entries) = fs::read_dir(root().join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().unwrap_or_else(|error| panic!("{path}: {error}"));
            let skipped = SKIPPED.iter().any(|skip| path == *skip || path.ends_with("/target"));
            if kind.is_dir() && !skipped {
                folders.push(path);
            } else if kind.is_file() && path.ends_with(&format!(".{extension}")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_tree_is_found() {
    let paths: Vec<String> = sources().into_iter().map(|file| file.path).collect();
    for known in ["mpm-runtime/src/lib.rs", "tests/tests/tidy.rs", "tests/tests/tidy/tree.rs"] {
        assert!(paths.iter().any(|path| path == known), "{known} is not in {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("/ui/") || path.contains("/target/")));
}
