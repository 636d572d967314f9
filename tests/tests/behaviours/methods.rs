//! One behaviour, three start methods: `by_all_methods!` makes of each function `behaviour(method)` a module of that name with a test
//! for every method. Each runs alone in its process, under a watchdog.

use mpm::StartMethod;
use mpm_tests::alone;

/// Makes the tests of these behaviours.
macro_rules! by_all_methods {
    ($($behaviour:ident),* $(,)?) => {$(
        mod $behaviour {
            #[mpm::test]
            fn spawn() {
                crate::methods::check(module_path!(), mpm::StartMethod::Spawn, super::$behaviour);
            }

            #[mpm::test]
            fn fork() {
                crate::methods::check(module_path!(), mpm::StartMethod::Fork, super::$behaviour);
            }

            #[mpm::test]
            fn forkserver() {
                crate::methods::check(module_path!(), mpm::StartMethod::ForkServer, super::$behaviour);
            }
        }
    )*};
}
pub(crate) use by_all_methods;

/// Runs one test of the module `path`.
pub(crate) fn check(path: &str, method: StartMethod, behaviour: fn(StartMethod)) {
    let (_, module) = path.split_once("::").expect("a behaviour has a module");
    alone(&format!("{module}::{method}"), || behaviour(method));
}
