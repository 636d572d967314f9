//! Tests of the codecs: every kind of value there and back, in both positions, and what is said when it goes wrong. The
//! codecs are picked here as generated code picks them.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::pick::{PickBytes as _, PickInner as _, PickOuter as _, PickSerde as _, Tag};
use super::{Call, Codec, CodecError, Encoder, Lend, lend, put, put_lent, read};
use crate::error::Phase;

macro_rules! codec {
    ($ty:ty) => {
        codec!(Codec, $ty)
    };
    ($bound:ident, $ty:ty) => {{
        fn codec() -> impl $bound<$ty> {
            (&&&&Tag::<$ty>::NEW).__mpm_codec()
        }
        codec()
    }};
}

/// `value` survives as an argument between others and as a result; returns the bytes of the result.
#[track_caller]
fn there_and_back<T: PartialEq + Debug>(codec: impl Codec<T>, value: T) -> Vec<u8> {
    let mut encoder = Encoder::default();
    codec.put(&value, &mut encoder).expect("it can be put");
    let alone = encoder.len();
    codec.put(&value, &mut encoder).expect("it can be put");
    let bytes = encoder.into_bytes();
    let mut from = &*bytes;
    assert_eq!(codec.take(&mut from).expect("the first"), value);
    assert_eq!(codec.take(&mut from).expect("the second"), value);
    assert!(from.is_empty());
    for end in 0..alone {
        assert!(codec.take(&mut &bytes[..end]).is_err(), "cut off at {end}");
    }

    let mut result = Vec::new();
    codec.append(&value, &mut result).expect("it can be appended");
    assert_eq!(codec.as_run(&value).unwrap_or(&result), result);
    assert_eq!(codec.read(result.clone().into()).expect("it can be read"), value);
    result
}

type Blob = Vec<u8>;
type Perhaps<T> = Option<T>;

#[test]
fn runs_of_bytes_are_raw_whatever_they_are_called() {
    for length in [0, 1, 300] {
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(there_and_back(codec!(Vec<u8>), bytes.clone()), bytes);
        assert_eq!(there_and_back(codec!(Blob), bytes.clone()), bytes);
        assert_eq!(there_and_back(codec!(Box<[u8]>), bytes.clone().into()), bytes);
        assert_eq!(there_and_back(codec!(OsString), OsString::from_vec(bytes.clone())), bytes);
        assert_eq!(there_and_back(codec!(PathBuf), OsString::from_vec(bytes.clone()).into()), bytes);
    }
    for text in ["", "zürich"] {
        assert_eq!(there_and_back(codec!(String), text.to_owned()), text.as_bytes());
        assert_eq!(there_and_back(codec!(Box<str>), text.into()), text.as_bytes());
    }
    assert_eq!(there_and_back(codec!([u8; 0]), []), []);
    assert_eq!(there_and_back(codec!([u8; 33]), [3; 33]), [3; 33]);
    assert_eq!(there_and_back(codec!([u8; 5000]), [3; 5000]), [3; 5000]);
}

#[test]
fn a_result_keeps_the_bytes_in_front_and_the_mark_behind() {
    assert_eq!(there_and_back(codec!(Option<Vec<u8>>), Some(vec![7, 8])), [7, 8, 1]);
    assert_eq!(there_and_back(codec!(Perhaps<Blob>), Some(vec![])), [1]);
    assert_eq!(there_and_back(codec!(Option<String>), None), [0]);
    assert_eq!(there_and_back(codec!(Result<[u8; 2], u8>), Ok([7, 8])), [7, 8, 0]);
    assert_eq!(there_and_back(codec!(Result<PathBuf, u8>), Err(9)), [9, 1]);
    assert_eq!(there_and_back(codec!(Result<Blob, ()>), Err(())), [1]);
}

#[test]
fn other_values_go_through_serde() {
    assert_eq!(there_and_back(codec!(()), ()), []);
    assert_eq!(there_and_back(codec!(u32), 300), [0xac, 2]);
    assert_eq!(there_and_back(codec!(Vec<i8>), vec![-1, 1]), [2, 0xff, 1]);
    assert_eq!(there_and_back(codec!(Option<u8>), Some(7)), [7, 1]);
    assert_eq!(there_and_back(codec!(Option<Option<Vec<u8>>>), Some(None)), [0, 1]);
    assert_eq!(there_and_back(codec!(Result<u8, String>), Err("e".to_owned())), [1, b'e', 1]);
    assert_eq!(there_and_back(codec!(Result<Option<u8>, ()>), Ok(None)), [0, 0]);
    assert_eq!(there_and_back(codec!((String, [u8; 3])), ("a".to_owned(), [1, 2, 3])).len(), 5);
}

/// A borrowed value survives; says whether what is lent lies in the bytes.
#[track_caller]
fn lent<T: ?Sized + PartialEq + Debug, C: Lend<T>>(codec: C, value: &T) -> bool {
    let mut encoder = Encoder::default();
    put_lent(&codec, value, "name", "type", &mut encoder).expect("it can be put");
    let mut bytes = encoder.into_bytes();
    let length = bytes.len();
    bytes.push(9);
    let mut from = &*bytes;
    let held = codec.hold(&mut from).expect("it can be taken");
    let arrived: &T = lend(&codec, &held);
    assert_eq!((arrived, from), (value, &[9][..]));
    bytes[..length].as_ptr_range().contains(&std::ptr::from_ref(arrived).cast())
}

#[test]
fn borrowed_runs_of_bytes_are_lent_from_where_they_arrived() {
    assert!(lent(codec!(Lend, str), "zürich"));
    assert!(lent(codec!(Lend, [u8]), &[1, 2, 3]));
    assert!(lent(codec!(Lend, Path), Path::new("/tmp")));
    assert!(lent(codec!(Lend, OsStr), OsStr::from_bytes(&[0xff])));
    lent(codec!(Lend, str), "");
    lent(codec!(Lend, [u8]), &[]);
    assert!(!lent(codec!(Lend, [u16]), &[1, 2, 300]));
    assert!(!lent(codec!(Lend, Vec<u8>), &vec![1, 2]));
    assert!(!lent(codec!(Lend, [u8; 2]), &[1, 2]));
    assert!(!lent(codec!(Lend, Option<String>), &Some("a".to_owned())));
    assert!(!lent(codec!(Lend, (u8, String)), &(1, "a".to_owned())));
}

#[test]
fn wrong_bytes_say_what_is_wrong_with_them() {
    let told = |outcome: Result<(), CodecError>| outcome.expect_err("wrong bytes").to_string();
    assert_eq!(told(codec!(Option<Vec<u8>>).read(vec![1, 2].into()).map(drop)), "the byte 2 is no mark of an `Option`");
    assert_eq!(told(codec!(Option<Vec<u8>>).read(vec![1, 0].into()).map(drop)), "1 bytes are left over behind the value");
    assert_eq!(told(codec!(Result<u8, u8>).take(&mut &[7][..]).map(drop)), "the byte 7 is no mark of a `Result`");
    assert_eq!(told(codec!(Result<u8, u8>).read(vec![].into()).map(drop)), "the bytes end before the value does");
    assert_eq!(told(codec!([u8; 4]).take(&mut &[1, 9][..]).map(drop)), "1 bytes where 4 belong");
    assert_eq!(told(codec!(String).take(&mut &[2, b'a', 0xff][..]).map(drop)), "not UTF-8 from byte 1 on");
}

#[test]
fn errors_name_the_argument_or_the_result() {
    let mut scratch = Vec::new();
    let error = Call::new(&[5], &mut scratch, &|_| {}, &mut |_| {})
        .borrowed(&codec!(Lend, str), "b", "&str")
        .map(drop)
        .expect_err("too short");
    assert_eq!(error.to_string(), "decode argument `b` of type `&str`: 5 bytes announced, 0 left");
    assert!(error.is_argument() && !error.is_result());
    assert_eq!(format!("{error:?}"), format!("CodecError({error})"));
    let error = read(&codec!(String), vec![0xff].into(), "String").expect_err("not UTF-8");
    assert!(error.is_result() && !error.is_argument());
    let mut encoder = Encoder::default();
    put(&codec!(u8), &7, "a", "u8", &mut encoder).expect("a byte");
    assert_eq!(encoder.into_bytes(), [7]);
}

#[test]
fn a_call_goes_through_its_phases() {
    let phases = RefCell::new(Vec::new());
    let mut delivered = Vec::new();
    let mut scratch = b"of the last call".to_vec();
    let phase = |phase| phases.borrow_mut().push(phase);
    let mut deliver = |bytes: &[u8]| delivered.push(bytes.to_vec());
    let mut call = Call::new(&[7, 1, b'x'], &mut scratch, &phase, &mut deliver);
    assert_eq!(call.argument(&codec!(u8), "a", "u8").expect("a byte"), 7);
    let codec = codec!(Lend, str);
    let held = call.borrowed(&codec, "b", "&str").expect("a text");
    assert_eq!(lend(&codec, &held), "x");
    drop(held);
    call.run().expect("nothing is left");
    call.finish(&codec!(u16), &300, "u16").expect("a number");
    assert_eq!(delivered, [[0xac, 2]]);
    assert_eq!(*phases.borrow(), [Phase::Running, Phase::Encoding, Phase::Sending]);

    let error = Call::new(&[7, 1], &mut scratch, &phase, &mut |_| {}).run().expect_err("bytes are left");
    assert_eq!(error.to_string(), "decode the arguments: 2 bytes are left over behind the value");
    assert!(error.is_argument());
}
