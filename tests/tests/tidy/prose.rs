//! Tells code from prose: comments and the insides of literals are blanked, so that a check of the code cannot trip over
//! words. Offsets and lines stay as they were.

use std::ops::Range;

use crate::source::word_at;

/// Turns comments and the insides of string and character literals into spaces.
pub(crate) fn blank_prose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some((prose, next)) = prose_at(bytes, at) else {
            // A word is taken whole, so that the `r` of `for"…"` opens no raw string.
            at += word_at(bytes, at).len().max(1);
            continue;
        };
        for byte in &mut code[prose] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = next;
    }
    String::from_utf8(code).expect("prose is blanked in whole characters")
}

/// What is to be blanked of the comment or literal that starts at `at`, and where the code goes on.
fn prose_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |n| at + n);
        return Some((at..end, end));
    }
    if rest.starts_with(b"/*") {
        let end = end_of_block_comment(bytes, at);
        return Some((at..end, end));
    }
    if let Some((inside, end)) = raw_string(bytes, at) {
        return Some((inside, end));
    }
    match rest.first() {
        Some(b'"') => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let end = end.min(bytes.len());
            Some((at + 1..end, (end + 1).min(bytes.len())))
        }
        Some(b'\'') => character(bytes, at),
        _ => None,
    }
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if bytes[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(bytes.len())
}

fn raw_string(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let word = word_at(bytes, at);
    if !matches!(word, b"r" | b"br" | b"cr") {
        return None;
    }
    let fence = at + word.len();
    let hashes = bytes[fence..].iter().take_while(|byte| **byte == b'#').count();
    let open = fence + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), "#".repeat(hashes).as_bytes()].concat();
    let length = bytes[open + 1..].windows(close.len()).position(|part| part == close)?;
    let end = open + 1 + length;
    Some((open + 1..end, end + close.len()))
}

/// A character literal; a lifetime is none.
fn character(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let first = *bytes.get(at + 1)?;
    let least = match first {
        b'\\' => 2,
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    let mut end = at + 1 + least;
    while first == b'\\' && bytes.get(end).is_some_and(|byte| *byte != b'\'') {
        end += 1;
    }
    (bytes.get(end) == Some(&b'\'')).then(|| (at + 1..end, end + 1))
}

#[test]
fn prose_is_blanked_and_code_stays() {
    let text = "a(\"x::y \\\" z\", 'b', '\\'', 'ä'); // c::d\n/* e /* f */ g */ fn h<'i>(r: &'i str) {}\nr#\"j\"k\"#; l";
    let code = blank_prose(text);
    for gone in ["x::y", "z", "b'", "c::d", "e ", "g", "j", "k"] {
        assert!(!code.contains(gone), "{gone} is still in {code}");
    }
    assert!(code.contains("fn h<'i>(r: &'i str) {}") && code.ends_with("; l"), "{code}");
    assert_eq!(code.len(), text.len());
}
