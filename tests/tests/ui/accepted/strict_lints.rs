//! Generated code is quiet under strict lints.

#![deny(warnings, missing_docs, unreachable_pub, clippy::all)]
#![forbid(unsafe_code)]
#![deny(unused_qualifications, single_use_lifetimes, unused_lifetimes, elided_lifetimes_in_paths)]
#![deny(missing_debug_implementations, missing_copy_implementations, trivial_casts, unit_bindings)]
#![deny(let_underscore_drop, unused_results, non_ascii_idents, unused_crate_dependencies)]
#![expect(unused_crate_dependencies, reason = "the other tests use them")]

use mpm::worker;

/// Documented.
#[worker]
pub(crate) fn f(mut a: u8, b: &str, c: &[u32], d: &Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    a += 1;
    let _ = (a, b, c, d);
    Ok(Vec::new())
}

#[worker]
fn nothing() {}

#[mpm::main]
fn main() {
    let _job = f::job(1, "", &[], &None);
    drop(nothing::job());
}
