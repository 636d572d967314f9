//! Arguments and results that are runs of bytes, under all their names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use mpm::__private::CodecError;
use mpm::{Failure, Target, worker};

use crate::{Ran, answer, call, run};

pub(crate) type Blob = Vec<u8>;
pub(crate) type Digest = [u8; 40];
pub(crate) type Maybe<T> = Option<T>;
pub(crate) type Outcome<T> = Result<T, String>;

#[worker]
fn blob(n: u8) -> Blob {
    vec![n; 3]
}

#[worker]
pub(crate) fn text() -> String {
    "abc".to_owned()
}

#[worker]
pub(crate) fn digest() -> Digest {
    [7; 40]
}

#[worker]
fn boxed() -> Box<[u8]> {
    Box::new([1, 2, 3])
}

#[worker]
fn path() -> PathBuf {
    PathBuf::from("/a/b")
}

#[worker]
fn os() -> OsString {
    OsString::from_vec(vec![0xff, 1])
}

#[test]
fn a_result_that_is_bytes_is_delivered_from_where_it_lies() {
    let raw = |outcome: Result<Ran, CodecError>| {
        let ran = outcome.expect("a call that works");
        assert!(!ran.through_scratch);
        ran.bytes
    };
    assert_eq!(raw(call::<blob>(&blob::job(9).encode().expect("a byte"))), [9, 9, 9]);
    assert_eq!(raw(call::<text>(&[])), b"abc");
    assert_eq!(raw(call::<digest>(&[])), [7; 40]);
    assert_eq!(raw(call::<boxed>(&[])), [1, 2, 3]);
    assert_eq!(raw(call::<path>(&[])), b"/a/b");
    assert_eq!(raw(call::<os>(&[])), [0xff, 1]);
    assert!(call::<answer>(&[]).expect("a call that works").through_scratch);
}

#[test]
fn received_bytes_become_the_result_without_a_copy() {
    let bytes = vec![1, 2, 3];
    let place = bytes.as_ptr();
    let blob = blob::decode_output(bytes.into()).expect("bytes");
    assert_eq!((&blob[..], blob.as_ptr()), (&[1, 2, 3][..], place));
    let bytes = vec![1, 2, 3, 1];
    let place = bytes.as_ptr();
    let blob = maybe::decode_output(bytes.into()).expect("bytes").expect("some");
    assert_eq!((&blob[..], blob.as_ptr()), (&[1, 2, 3][..], place));
}

#[worker]
pub(crate) fn maybe(give: bool) -> Maybe<Blob> {
    give.then(|| vec![5; 1000])
}

#[worker]
fn fallible(input: Outcome<Blob>) -> Outcome<Blob> {
    input.map(|mut bytes| {
        bytes.reverse();
        bytes
    })
}

#[worker]
fn plain_option(number: Option<u32>) -> Result<Option<u32>, Failure> {
    match number {
        Some(0) => Err(Failure::new("zero")),
        other => Ok(other),
    }
}

#[test]
fn bytes_inside_of_option_and_result_stay_in_one_piece() {
    assert_eq!(run(maybe::job(true)), Some(vec![5; 1000]));
    assert_eq!(run(maybe::job(false)), None);
    let sent = call::<maybe>(&maybe::job(true).encode().expect("a bool")).expect("a call that works").bytes;
    assert_eq!(sent.len(), 1001);
    assert_eq!(run(fallible::job(Ok(vec![1, 2, 3]))), Ok(vec![3, 2, 1]));
    assert_eq!(run(fallible::job(Err("no".into()))), Err("no".into()));
    assert_eq!(run(plain_option::job(Some(3))).expect("three"), Some(3));
    assert_eq!(run(plain_option::job(None)).expect("nothing"), None);
    assert_eq!(run(plain_option::job(Some(0))).expect_err("zero").message(), "zero");
}

#[worker]
fn owned_bytes(blob: Blob, digest: Digest, text: String, path: PathBuf, lent: &Blob, array: &[u8; 33]) -> usize {
    let _: &Path = &path;
    blob.len() + digest.len() + text.len() + lent.len() + array.len()
}

#[test]
fn arguments_that_are_bytes_travel_as_one_piece() {
    let lent = vec![0; 5];
    let job = owned_bytes::job(vec![0; 200], [0; 40], "x".into(), "p".into(), &lent, &[0; 33]);
    // Each has its length in front of it; 200 needs two bytes for that.
    assert_eq!(job.encode().expect("bytes").len(), (200 + 2) + (40 + 1) + 2 + 2 + 6 + 34);
    assert_eq!(run(job), 200 + 40 + 1 + 5 + 33);
}
