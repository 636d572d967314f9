//! Tests of the wire format against the crate whose format it is, and of what is said when a value refuses.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{nothing_left, put_run, put_value, take_run, take_value};
use crate::codec::error::CodecError;

pub(super) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![0xaa];
    put_value(value, &mut bytes)?;
    Ok(bytes.split_off(1))
}

pub(super) fn read<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, CodecError> {
    let value = take_value(&mut bytes)?;
    nothing_left(bytes)?;
    Ok(value)
}

/// `value` survives, its bytes are those of postcard, and no shorter bytes are the value.
#[track_caller]
pub(super) fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = write(&value).expect("it can be written");
    assert_eq!(bytes, postcard::to_allocvec(&value).expect("postcard can write it"));
    assert_eq!(read::<T>(&bytes).expect("it can be read"), value);
    for end in 0..bytes.len() {
        assert_ne!(read::<T>(&bytes[..end]).ok().as_ref(), Some(&value));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Shape {
    Unit,
    Newtype(Box<Shape>),
    Tuple(u8, String),
    Struct { a: Option<i64>, b: () },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Everything(Unit, Newtype, Vec<Shape>, Named);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(f64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    map: BTreeMap<String, [u16; 3]>,
    #[serde(default)]
    other: Option<Option<char>>,
}

#[test]
fn numbers_are_written_as_postcard_writes_them() {
    for shift in 0..128 {
        let number = 1_u128 << shift;
        for number in [number, number - 1, number | 1, !number] {
            same(number);
            same(number as i128);
            same(number as u64);
            same(number as i64);
            same((number as u32, number as i32, number as u16, number as i16, number as u8, number as i8));
        }
    }
    for number in [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY] {
        same(number);
        same(number as f32);
    }
    same((true, false, 'a', 'ß', '\u{10ffff}', usize::MAX, isize::MIN));
}

#[test]
fn everything_else_is_written_as_postcard_writes_it() {
    same(());
    same(String::new());
    same("zürich ".repeat(40));
    same((Some(1_u8), None::<u8>, Some(Some(())), Ok::<u8, String>(1), Err::<u8, _>(String::from("e"))));
    same(vec![vec![1_u32, 2], vec![], vec![3]]);
    same(VecDeque::from([1_i16, -1]));
    same(BTreeSet::from(["b".to_owned(), "a".to_owned()]));
    same(HashMap::from([(1_u8, "one".to_owned())]));
    same((Duration::from_millis(1500), IpAddr::from(Ipv4Addr::LOCALHOST)));
    same(Everything(
        Unit,
        Newtype(2.5),
        vec![
            Shape::Unit,
            Shape::Newtype(Box::new(Shape::Newtype(Box::new(Shape::Unit)))),
            Shape::Tuple(7, "seven".to_owned()),
            Shape::Struct { a: Some(-7), b: () },
        ],
        Named { map: BTreeMap::from([("k".to_owned(), [1, 2, 300])]), other: Some(None) },
    ));
}

#[test]
fn runs_of_bytes_come_back_without_a_copy() {
    for length in [0, 1, 127, 128, 16_383, 16_384] {
        let run = vec![7; length];
        let mut bytes = Vec::new();
        put_run(&run, &mut bytes);
        put_run(b"next", &mut bytes);
        let mut from = &*bytes;
        let taken = take_run(&mut from).expect("the run");
        assert_eq!(taken, run);
        assert!(bytes.as_ptr_range().contains(&taken.as_ptr()));
        assert_eq!(take_run(&mut from).expect("the next run"), b"next");
        assert!(from.is_empty());
        assert!(take_run(&mut &bytes[..length]).is_err());
    }
    assert_eq!(take_run(&mut &[0xff; 30][..]).expect_err("too large").to_string(), "a number is too large for its type");
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(take_run(&mut &huge[..]).expect_err("too long").to_string(), "18446744073709551615 bytes announced, 0 left");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct Even(u8);

impl Clone for Even {
    fn clone(&self) -> Self {
        Even(self.0)
    }
}

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Even(number)) } else { Err(format!("{number} is odd")) }
    }
}

impl From<Even> for u8 {
    fn from(even: Even) -> u8 {
        even.0
    }
}

#[test]
fn what_a_type_says_is_heard() {
    same(Even(4));
    assert_eq!(read::<Even>(&[5]).expect_err("odd").to_string(), "5 is odd");
    assert!(read::<Shape>(&[9]).expect_err("no variant").to_string().starts_with("invalid value: integer `9`"));
    assert_eq!(read::<bool>(&[2]).expect_err("no bool").to_string(), "the byte 2 is no `bool`");
    assert_eq!(read::<u16>(&[0xff, 0xff, 0x7f]).expect_err("large").to_string(), "a number is too large for its type");
    assert_eq!(read::<char>(&[2, b'a', b'b']).expect_err("two").to_string(), "2 bytes of text are no single `char`");
    assert_eq!(read::<u8>(&[]).expect_err("none").to_string(), "the bytes end before the value does");
    assert_eq!(read::<u8>(&[1, 2]).expect_err("two").to_string(), "1 bytes are left over behind the value");
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    A(u8),
}

#[test]
fn a_type_that_wants_a_description_is_told_so() {
    let error = read::<Untagged>(&write(&Untagged::A(1)).expect("written")).expect_err("no description");
    assert!(error.to_string().contains("`untagged`"), "{error}");
}

#[test]
fn a_value_that_fails_in_the_middle_leaves_no_bytes() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let _ = serializer;
            Err(serde::ser::Error::custom("I stay here"))
        }
    }
    struct Lengthless;
    impl Serialize for Lengthless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..9).filter(|n| n % 2 == 0))
        }
    }
    let mut bytes = vec![1, 2];
    let error = put_value(&("begun", Fails), &mut bytes).expect_err("it refuses");
    assert_eq!((error.to_string().as_str(), &bytes[..]), ("I stay here", &[1, 2][..]));
    let error = write(&Lengthless).expect_err("no length");
    assert_eq!(error.to_string(), "a sequence or map does not know its length before it is written");
}
