//! Generated code is quiet under strict lints.

#![deny(warnings, missing_docs, unreachable_pub, clippy::all)]
#![forbid(unsafe_code)]
#![deny(unused_qualifications, single_use_lifetimes, unused_lifetimes, elided_lifetimes_in_paths)]
#![deny(missing_debug_implementations, missing_copy_implementations, trivial_casts, unit_bindings)]
#![deny(let_underscore_drop, unused_results, non_ascii_idents, unused_crate_dependencies)]
#![expect(unused_crate_dependencies, reason = "the other tests use them")]

use mpm::{Worker, worker};

/// Documented.
#[worker]
pub(crate) fn f(mut a: u8, b: &str, c: &[u32], d: &Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    a += 1;
    let _ = (a, b, c, d);
    Ok(Vec::new())
}

#[worker]
fn nothing() {}

/// Documented.
#[derive(Debug)]
pub(crate) struct Object(u8);

#[worker]
impl Object {
    /// Makes it.
    pub(crate) fn new(mut a: u8, b: &str) -> Result<Self, std::io::Error> {
        a += u8::try_from(b.len()).unwrap_or(0);
        Ok(Object(a))
    }

    /// Looks at it.
    pub(crate) fn look(&self, mut c: u8, d: &[u32]) -> Vec<u8> {
        c += self.0;
        let _ = d;
        vec![c]
    }

    fn change(&mut self) {
        self.0 += 1;
    }
}

/// Documented.
#[worker]
#[derive(Debug, Default)]
pub(crate) struct Short(u8);

impl Worker for Short {
    type Args = u8;
    type Output = u8;

    fn run(&mut self, by: u8) -> u8 {
        self.0 += by;
        self.0
    }
}

#[mpm::main]
fn main() {
    let _job = f::job(1, "", &[], &None);
    drop(nothing::job());
    let object = Object::remote(1, "");
    drop((object.look(1, &[]), object.clone().change()));
    drop((Short::job(1), Short::remote()));
}
