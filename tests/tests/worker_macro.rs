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
