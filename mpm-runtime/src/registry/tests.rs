//! Tests of the registry, on tables of its own and on the table of this test program.

use std::borrow::Cow;

use super::{DuplicateTarget, Job, Registration, Registry, Target, UnknownTarget};
use crate::codec::{CodecError, Encoder};

mod targets {
    use mpm_macros::worker;

    #[worker(crate = crate, name = "zebra", timeout = "2s")]
    pub(super) fn first(n: u8) -> u8 {
        n
    }

    #[worker(crate = crate, name = "ant")]
    pub(super) fn second() {}
}

fn target(name: &'static str, line: u32, signature: &'static str) -> &'static Registration {
    let registration =
        Registration { name, file: "src/jobs.rs", line, column: 1, signature, timeout: None, retries: None, call: |_| Ok(()) };
    Box::leak(Box::new(registration))
}

fn build(targets: &[&'static Registration]) -> Result<Registry, DuplicateTarget> {
    Registry::build(targets.to_vec())
}

#[test]
fn a_place_is_the_same_in_whatever_order_targets_come() {
    let (a, b, c) = (target("a", 1, "fn a()"), target("b", 2, "fn b()"), target("c", 3, "fn c()"));
    let registry = build(&[b, c, a]).expect("no duplicates");
    let again = build(&[c, a, b]).expect("no duplicates");
    assert_eq!(registry.fingerprint(), again.fingerprint());
    for registry in [registry, again] {
        for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
            let index = u32::try_from(index).expect("small");
            assert_eq!(registry.get(index).map(|target| target.name), Some(name));
        }
        assert!(registry.get(3).is_none());
        assert!(registry.get(u32::MAX).is_none());
    }
}

#[test]
fn the_fingerprint_sees_names_and_signatures() {
    let fingerprint = |targets: &[_]| build(targets).expect("no duplicates").fingerprint();
    let one = fingerprint(&[target("a", 1, "fn a()")]);
    assert_eq!(one, fingerprint(&[target("a", 7, "fn a()")]));
    assert_ne!(one, fingerprint(&[target("b", 1, "fn a()")]));
    assert_ne!(one, fingerprint(&[target("a", 1, "fn a(n: u8)")]));
    assert_ne!(one, fingerprint(&[]));
}

#[test]
fn two_targets_of_one_name_are_both_named() {
    let error = build(&[target("b", 9, ""), target("a", 30, ""), target("a", 4, "")]).expect_err("a duplicate");
    assert_eq!(
        error.to_string(),
        "tell two targets named `a` apart: one is at src/jobs.rs:4, one at src/jobs.rs:30; \
         give one another name with `#[worker(name = \"…\")]`"
    );
}

#[test]
fn an_unknown_target_lists_the_known_ones() {
    let hint = "; if it stands in another crate, write `use that_crate as _;` in the program, so that the linker keeps it";
    let told = |known: &[&'static Registration]| UnknownTarget::new("x", known).to_string();
    assert_eq!(told(&[]), format!("find the target `x`: this program has none{hint}"));
    assert_eq!(told(&[target("a", 1, ""), target("b", 1, "")]), format!("find the target `x`: this program has `a`, `b`{hint}"));
    let names: Vec<&'static str> = (10..40).map(|n| &*Box::leak(format!("t{n}").into_boxed_str())).collect();
    let many = told(&names.iter().map(|name| target(name, 1, "")).collect::<Vec<_>>());
    assert!(many.contains("`t10`, ") && many.contains("`t29` and 10 more; "), "{many}");
}

/// A target that was not made by the macro, so that nobody registered it.
enum Forgotten {}

impl Target for Forgotten {
    const NAME: &'static str = "forgotten";
    type Args<'job> = ();
    type Output = ();

    fn encode<'v>((): &'v (), _to: &mut Encoder<'v>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode_output(_bytes: Cow<'_, [u8]>) -> Result<(), CodecError> {
        Ok(())
    }

    fn index() -> &'static super::Index {
        static INDEX: super::Index = super::Index::new();
        &INDEX
    }
}

#[test]
fn the_registry_of_this_program_holds_its_targets() {
    let registry = Registry::global().expect("no duplicates");
    assert!((0..).map_while(|index| registry.get(index)).is_sorted_by_key(|target| target.name));
    for _ in 0..2 {
        let ant = registry.index_of::<targets::second>().expect("registered");
        assert_eq!(registry.get(ant).map(|target| target.name), Some("ant"));
        let unknown: UnknownTarget = registry.index_of::<Forgotten>().expect_err("never registered");
        assert!(unknown.to_string().starts_with("find the target `forgotten`: this program has `"));
    }
    let zebra = registry.index_of::<targets::first>().expect("registered");
    let zebra = registry.get(zebra).expect("at its place");
    assert_eq!(zebra.timeout, Some(std::time::Duration::from_secs(2)));
    assert!(format!("{zebra:?}").starts_with("Registration(zebra at mpm-runtime/src/registry/tests.rs:"));
}

#[test]
fn a_job_is_encoded_when_asked() {
    let job: Job<'_, targets::first> = targets::first::job(7);
    assert_eq!(format!("{job:?}"), "Job(zebra)");
    assert_eq!(job.encode().expect("a byte"), [7]);
    let mut encoder = Encoder::new(vec![1]);
    job.encode_to(&mut encoder).expect("a byte");
    job.encode_to(&mut encoder).expect("a byte");
    assert_eq!(encoder.into_bytes(), [7, 7]);
    assert!(targets::second::job().encode().expect("nothing").is_empty());
    assert!(Job::<Forgotten>::new(()).encode().expect("nothing").is_empty());
}
