//! Values that cannot be encoded and bytes that cannot be decoded, on both sides of a call.

use std::collections::BTreeMap;

use mpm::__private::CodecError;
use mpm::{Target, worker};
use serde::{Deserialize, Serialize};

use crate::bytes::{digest, maybe, text};
use crate::{Ran, answer, call, grow, nothing, shout, sum};

#[test]
fn arguments_that_cannot_be_decoded() {
    let told = |outcome: Result<Ran, CodecError>| match outcome {
        Ok(_) => panic!("it worked"),
        Err(error) => {
            assert!(error.is_argument() && !error.is_result());
            error.to_string()
        }
    };
    assert_eq!(told(call::<shout>(&[3, b'a'])), "decode argument `text` of type `&str`: 3 bytes announced, 1 left");
    assert_eq!(told(call::<shout>(&[2, b'a', 0xff])), "decode argument `text` of type `&str`: not UTF-8 from byte 1 on");
    assert_eq!(told(call::<answer>(&[1, 2])), "decode the arguments: 2 bytes are left over behind the value");
    assert!(told(call::<grow>(&[9])).starts_with("decode argument `shape` of type `&Shape`: "));
    assert!(told(call::<sum>(&[0xff; 9])).starts_with("decode argument `numbers` of type `&[u64]`: "));
}

#[derive(Debug, Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I stay here"))
    }
}

#[worker]
fn takes_stubborn(_first: u8, _stubborn: &Stubborn, _map: BTreeMap<Vec<u8>, String>) {}

#[worker]
fn gives_stubborn() -> Stubborn {
    Stubborn
}

#[test]
fn values_that_cannot_be_encoded() {
    let error = takes_stubborn::job(1, &Stubborn, BTreeMap::new()).encode().expect_err("it refuses");
    assert!(error.is_argument());
    assert_eq!(error.to_string(), "encode argument `_stubborn` of type `&Stubborn`: I stay here");
    let Err(error) = call::<gives_stubborn>(&[]) else { panic!("it refuses") };
    assert!(error.is_result());
    assert_eq!(error.to_string(), "encode the result of type `Stubborn`: I stay here");
}

#[test]
fn results_that_cannot_be_decoded() {
    let error = text::decode_output(vec![0xff].into()).expect_err("not UTF-8");
    assert!(error.is_result());
    assert_eq!(error.to_string(), "decode the result of type `String`: not UTF-8 from byte 0 on");
    let error = digest::decode_output(vec![1; 39].into()).expect_err("too short");
    assert_eq!(error.to_string(), "decode the result of type `Digest`: 39 bytes where 40 belong");
    let error = maybe::decode_output(vec![].into()).expect_err("no mark");
    assert_eq!(error.to_string(), "decode the result of type `Maybe<Blob>`: the bytes end before the value does");
    assert!(nothing::decode_output(vec![0].into()).is_err());
}
