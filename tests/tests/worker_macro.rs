//! The macro `#[worker]` through the public face, without processes: arguments are encoded as a pool would, the
//! registered call runs as a worker would, the result is decoded as a pool would.

#[path = "worker_macro/bytes.rs"]
mod bytes;
#[path = "worker_macro/objects.rs"]
mod objects;
#[path = "worker_macro/places.rs"]
mod places;
#[path = "worker_macro/refused.rs"]
mod refused;

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use mpm::__private::{Call, CallError, CodecError, Registration, Registry};
use mpm::{Job, Phase, Target, worker};
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
    let outcome = outcome.map_err(|error| match error {
        CallError::Codec(error) => error,
        CallError::NotBuilt(unbuilt) => panic!("{unbuilt:?}"),
    });
    outcome.map(|()| Ran { bytes: delivered, phases: phases.into_inner(), through_scratch })
}

fn run<F: Target>(job: Job<'_, F>) -> F::Output {
    run_in(job, &[Phase::Running, Phase::Encoding, Phase::Sending])
}

/// The first job of an object, which has to be built.
fn run_object<F: Target>(job: Job<'_, F>) -> F::Output {
    run_in(job, &[Phase::Building, Phase::Running, Phase::Encoding, Phase::Sending])
}

fn run_in<F: Target>(job: Job<'_, F>, phases: &[Phase]) -> F::Output {
    let ran = call::<F>(&job.encode().expect("arguments that travel")).expect("a call that works");
    assert_eq!(ran.phases, phases);
    F::decode_output(ran.bytes.into()).expect("a result that travels")
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
#[expect(clippy::unused_unit, reason = "written out it is the same")]
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
    assert_eq!(run(shout::job("")), "");
    assert_eq!(run(grow::job(&Shape::Circle { radius: 2.0 }, 2.0)), Shape::Circle { radius: 4.0 });
    let polygon = Shape::Polygon(vec![(1.0, 2.0), (3.0, 4.0)]);
    assert_eq!(run(grow::job(&polygon, 2.0)), Shape::Polygon(vec![(2.0, 4.0), (6.0, 8.0)]));
    assert_eq!(run(grow::job(&Shape::Empty, 2.0)), Shape::Empty);
    assert_eq!(run(sum::job(&[1, 2, 1 << 60])), 3 + (1 << 60));
    let name = OsStr::from_bytes(b"not \xff text");
    let joined = run(join::job(Path::new("/tmp"), name, OsString::from_vec(vec![0xfe])));
    assert_eq!(joined.as_os_str().as_bytes(), b"/tmp/not \xff text\xfe");
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

#[mpm::test]
fn a_test_stays_a_test() -> Result<(), std::num::ParseIntError> {
    let n: u8 = "7".parse()?;
    assert_eq!(run(add::job(n.into(), 1)), 8);
    Ok(())
}

#[mpm::test]
#[should_panic(expected = "on purpose")]
fn a_test_keeps_its_attributes() {
    #![expect(unused_variables, reason = "an inner attribute stays in front")]
    let unused = 1;
    panic!("on purpose");
}
