//! The macro `#[worker]` through the public face, without processes: arguments are encoded as a pool would, the
//! registered call runs as a worker would, the result is decoded as a pool would.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mpm::__private::{Call, CodecError, Registration, Registry};
use mpm::{Failure, Job, Phase, Target, worker};
use serde::{Deserialize, Serialize};

/// What one call left behind.
struct Ran {
    bytes: Vec<u8>,
    phases: Vec<Phase>,
    /// Where the delivered bytes lay in the scratch buffer.
    through_scratch: bool,
}

fn registration<F: Target>() -> &'static Registration {
    let registry = Registry::global().expect("no duplicates");
    let index = registry.index_of::<F>().expect("registered");
    registry.get(index).expect("at its place")
}

fn call<F: Target>(arguments: &[u8]) -> Result<Ran, CodecError> {
    let phases = RefCell::new(Vec::new());
    let mut delivered = Vec::new();
    let mut scratch = vec![0xee; 3];
    let mut place = None;
    let outcome = {
        let phase = |phase| phases.borrow_mut().push(phase);
        let mut deliver = |bytes: &[u8]| {
            assert!(place.is_none(), "delivered twice");
            place = Some(bytes.as_ptr());
            delivered.extend_from_slice(bytes);
        };
        (registration::<F>().call)(&mut Call::new(arguments, &mut scratch, &phase, &mut deliver))
    };
    let through_scratch = place.is_some_and(|place| scratch.as_ptr_range().start == place);
    outcome.map(|()| Ran { bytes: delivered, phases: phases.into_inner(), through_scratch })
}

fn run<F: Target>(job: Job<'_, F>) -> F::Output {
    let ran = call::<F>(&job.encode().expect("arguments that travel")).expect("a call that works");
    assert_eq!(ran.phases, [Phase::Running, Phase::Encoding, Phase::Sending]);
    F::decode_output(ran.bytes).expect("a result that travels")
}

#[worker]
fn add(a: i32, b: i32) -> i32 {
    a + b
}

#[test]
fn a_target_is_still_a_function() {
    assert_eq!(add(1, 2), 3);
    let pointer: fn(i32, i32) -> i32 = add;
    assert_eq!(pointer(3, 4), 7);
}

#[test]
fn a_job_runs_through_its_registration() {
    assert_eq!(run(add::job(40, 2)), 42);
    assert_eq!(add::NAME, "worker_macro::add");
    assert_eq!(<add as Target>::NAME, add::NAME);
    assert_eq!(registration::<add>().file, file!());
    assert!(registration::<add>().signature.contains("i32"));
}

#[test]
fn a_local_variable_may_have_the_name_of_a_target() {
    let add = 1;
    assert_eq!(add + 1, 2);
    let (add, other) = (add, 2);
    match other {
        add if add > 1 => assert_eq!(run(add::job(add, 2)), 4),
        _ => unreachable!("{add}"),
    }
}

#[worker]
fn nothing() {}

#[worker]
fn nothing_either() -> () {}

#[worker]
fn answer() -> u8 {
    42
}

#[test]
fn no_arguments_and_no_result() {
    run(nothing::job());
    run(nothing_either::job());
    assert_eq!(run(answer::job()), 42);
    assert!(nothing::job().encode().expect("nothing").is_empty());
    let _: <answer as Target>::Args<'_> = ();
    let _: <shout as Target>::Args<'_> = "one argument is bare";
    let _: <add as Target>::Args<'_> = (1, 2);
}

#[worker]
fn shout(text: &str) -> String {
    text.to_uppercase()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle { radius: f64 },
    Polygon(Vec<(f64, f64)>),
    Empty,
}

#[worker]
fn grow(shape: &Shape, by: f64) -> Shape {
    match shape {
        Shape::Circle { radius } => Shape::Circle { radius: radius * by },
        Shape::Polygon(points) => Shape::Polygon(points.iter().map(|(x, y)| (x * by, y * by)).collect()),
        Shape::Empty => Shape::Empty,
    }
}

#[worker]
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[worker]
fn join(base: &Path, name: &OsStr, suffix: OsString) -> PathBuf {
    let mut name = name.to_owned();
    name.push(suffix);
    base.join(name)
}

#[test]
fn borrowed_arguments() {
    assert_eq!(run(shout::job("zürich")), "ZÜRICH");
    assert_eq!(run(shout::job(&String::new())), "");
    assert_eq!(run(grow::job(&Shape::Circle { radius: 2.0 }, 2.0)), Shape::Circle { radius: 4.0 });
    let polygon = Shape::Polygon(vec![(1.0, 2.0), (3.0, 4.0)]);
    assert_eq!(run(grow::job(&polygon, 2.0)), Shape::Polygon(vec![(2.0, 4.0), (6.0, 8.0)]));
    assert_eq!(run(grow::job(&Shape::Empty, 2.0)), Shape::Empty);
    assert_eq!(run(sum::job(&[1, 2, 1 << 60])), 3 + (1 << 60));
    let name = OsStr::from_bytes(b"not \xff text");
    let joined = run(join::job(Path::new("/tmp"), name, OsString::from_vec(vec![0xfe])));
    assert_eq!(joined.as_os_str().as_bytes(), b"/tmp/not \xff text\xfe");
}

type Blob = Vec<u8>;
type Digest = [u8; 40];
type Maybe<T> = Option<T>;
type Outcome<T> = Result<T, String>;

#[worker]
fn blob(n: u8) -> Blob {
    vec![n; 3]
}

#[worker]
fn text() -> String {
    "abc".to_owned()
}

#[worker]
fn digest() -> Digest {
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
    let blob = blob::decode_output(bytes).expect("bytes");
    assert_eq!((&blob[..], blob.as_ptr()), (&[1, 2, 3][..], place));
    let bytes = vec![1, 2, 3, 1];
    let place = bytes.as_ptr();
    let blob = maybe::decode_output(bytes).expect("bytes").expect("some");
    assert_eq!((&blob[..], blob.as_ptr()), (&[1, 2, 3][..], place));
}

#[worker]
fn maybe(give: bool) -> Maybe<Blob> {
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

#[worker]
#[expect(clippy::too_many_arguments, reason = "that is the point")]
fn many(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: f32, j: f64, k: bool, l: char, m: (), n: &str) -> String {
    format!("{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}{m:?}{n}")
}

#[test]
fn any_number_of_arguments() {
    assert_eq!(run(many::job(1, 2, 3, 4, -5, -6, -7, -8, 0.5, 1.5, true, 'x', (), "end")), "1234-5-6-7-80.51.5truex()end");
}

#[worker]
fn changes_its_own(mut numbers: Vec<u32>, mut by: u32) -> Vec<u32> {
    by += 1;
    numbers.iter_mut().for_each(|number| *number += by);
    numbers
}

#[worker]
const fn squared(n: u64) -> u64 {
    n * n
}

#[test]
fn mutable_arguments_and_const_functions() {
    assert_eq!(run(changes_its_own::job(vec![1, 2], 1)), [3, 4]);
    const NINE: u64 = squared(3);
    assert_eq!(run(squared::job(3)), NINE);
}

mod outer {
    pub(crate) mod inner {
        use mpm::worker;

        #[worker]
        #[expect(unreachable_pub, reason = "said once, for the function")]
        pub fn everywhere() -> u8 {
            1
        }

        #[worker]
        pub(crate) fn in_this_crate() -> u8 {
            2
        }

        #[worker]
        pub(super) fn above() -> u8 {
            3
        }

        #[worker]
        pub(in crate::outer) fn named() -> u8 {
            4
        }
    }

    pub(crate) fn restricted() -> u8 {
        super::run(inner::above::job()) + super::run(inner::named::job())
    }
}

#[test]
fn modules_and_visibility() {
    use outer::inner::everywhere;
    assert_eq!(run(everywhere::job()), everywhere());
    assert_eq!(run(outer::inner::in_this_crate::job()), 2);
    assert_eq!(outer::restricted(), 7);
    assert_eq!(everywhere::NAME, "worker_macro::outer::inner::everywhere");
}

#[test]
fn inside_of_a_function_body() {
    #[derive(Serialize, Deserialize)]
    struct Local {
        n: u32,
    }

    #[worker]
    fn twice(local: Local, lent: &Local) -> Option<Local> {
        Some(Local { n: (local.n + lent.n) * 2 })
    }

    let twice = run(twice::job(Local { n: 20 }, &Local { n: 1 })).expect("some");
    assert_eq!(twice.n, 42);

    {
        #[worker(name = "worker_macro::block")]
        fn block() -> u8 {
            1
        }
        assert_eq!(run(block::job()), 1);
    }
}

#[worker(name = "a name of its own", timeout = "1m 30s 5ms", retries = 7)]
fn with_options() {}

#[test]
fn options_are_stored() {
    let target = registration::<with_options>();
    assert_eq!(with_options::NAME, "a name of its own");
    assert_eq!(target.name, with_options::NAME);
    assert_eq!(target.timeout, Some(Duration::from_millis(90_005)));
    assert_eq!(target.retries, Some(7));
    assert_eq!((registration::<add>().timeout, registration::<add>().retries), (None, None));
}

mod elsewhere {
    pub(crate) mod again {
        pub(crate) use ::mpm as exported;
    }
}

#[worker(crate = elsewhere::again::exported)]
fn through_another_path(text: &str) -> usize {
    text.len()
}

#[test]
fn mpm_under_another_path() {
    assert_eq!(run(through_another_path::job("four")), 4);
}

#[worker]
#[cfg(target_os = "none")]
fn only_one(_: NoSuchType) {}

#[cfg(target_os = "none")]
#[worker]
fn only_one(_: NoSuchType) {}

#[worker]
#[cfg(not(target_os = "none"))]
fn only_one() -> u8 {
    1
}

#[test]
fn a_target_can_be_configured_away() {
    assert_eq!(run(only_one::job()), 1);
}

/// Names that generated code might have used, and a prelude that is not there.
mod hostile_names {
    #![no_implicit_prelude]

    use ::mpm::worker;
    use ::serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Vec(pub(crate) u8);
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Option;
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Codec;
    #[expect(dead_code, reason = "it is only in the way")]
    pub(crate) trait Pick {
        fn codec(&self) {}
    }
    impl<T> Pick for T {}

    #[worker]
    #[expect(clippy::too_many_arguments, reason = "each is a name that could be in the way")]
    pub(crate) fn value0(
        call: Vec,
        args: Option,
        to: Codec,
        output: u8,
        bytes: u8,
        value0: u8,
        value1: &u8,
        result: u8,
        r#type: u8,
    ) -> u8 {
        let _ = (args, to, bytes, value0, value1, result, r#type);
        call.0 + output
    }

    #[worker]
    pub(crate) fn r#match() {}

    #[worker]
    pub(crate) fn call(job: u8) -> u8 {
        job
    }
}

#[test]
fn names_are_not_in_the_way_of_each_other() {
    use hostile_names::{Codec, Option, Vec, r#match, value0};
    assert_eq!(run(value0::job(Vec(1), Option, Codec, 2, 0, 0, &0, 0, 0)), 3);
    run(r#match::job());
    assert_eq!(r#match::NAME, "worker_macro::hostile_names::match");
    assert_eq!(run(hostile_names::call::job(3)), 3);
}

macro_rules! make {
    ($name:ident, $ty:ty, $lent:ty, |$arg:ident| $body:expr) => {
        #[worker]
        fn $name($arg: $ty, hidden: $lent, other: &$ty) -> Result<$ty, ()> {
            let _ = (hidden, other);
            Ok($body)
        }
    };
}

make!(made, u32, &str, |n| n + 1);

#[test]
fn a_macro_can_make_targets() {
    assert_eq!(run(made::job(1, "", &2)), Ok(2));
}

#[derive(Serialize, Deserialize)]
struct Private;

mod private {
    #[mpm::worker]
    #[deprecated]
    #[must_use]
    #[doc(hidden)]
    #[inline(never)]
    pub(super) fn old(_private: super::Private) -> u8 {
        5
    }
}

#[test]
#[expect(deprecated, reason = "the attribute stays on the function")]
fn attributes_stay_on_the_function() {
    assert_eq!(private::old(Private), 5);
    assert_eq!(run(private::old::job(Private)), 5);
}

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
    assert!(error.to_string().starts_with("encode argument `_stubborn` of type `&Stubborn`: "), "{error}");
    let Err(error) = call::<gives_stubborn>(&[]) else { panic!("it refuses") };
    assert!(error.is_result());
    assert!(error.to_string().starts_with("encode the result of type `Stubborn`: "), "{error}");
}

#[test]
fn results_that_cannot_be_decoded() {
    let error = text::decode_output(vec![0xff]).expect_err("not UTF-8");
    assert!(error.is_result());
    assert_eq!(error.to_string(), "decode the result of type `String`: not UTF-8 from byte 0 on");
    let error = digest::decode_output(vec![1; 39]).expect_err("too short");
    assert_eq!(error.to_string(), "decode the result of type `Digest`: 39 bytes where 40 belong");
    let error = maybe::decode_output(vec![]).expect_err("no mark");
    assert_eq!(error.to_string(), "decode the result of type `Maybe<Blob>`: the bytes end before the value does");
    assert!(nothing::decode_output(vec![0]).is_err());
}
