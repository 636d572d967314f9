//! A function that is no target where one is wanted.

use mpm::Target;

#[derive(Debug)]
#[expect(non_camel_case_types, reason = "it looks like a target")]
enum plain {}

fn name_of<F: Target>() -> &'static str {
    F::NAME
}

fn main() {
    println!("{}", name_of::<plain>());
}
