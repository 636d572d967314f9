//! One suite, three start methods: `conform!` makes of each function `behaviour(method)` a module of that name with a test
//! for every method. Each runs alone in a process that has no thread but the test's, as a fork asks.

use mpm::StartMethod;
use mpm_tests::alone_with_one_thread;

/// Makes the tests of these behaviours.
macro_rules! conform {
    ($($behaviour:ident),* $(,)?) => {$(
        mod $behaviour {
            #[mpm::test]
            fn spawn() {
                crate::conform::check(module_path!(), mpm::StartMethod::Spawn, super::$behaviour);
            }

            #[mpm::test]
            fn fork() {
                crate::conform::check(module_path!(), mpm::StartMethod::Fork, super::$behaviour);
            }

            #[mpm::test]
            fn forkserver() {
                crate::conform::check(module_path!(), mpm::StartMethod::ForkServer, super::$behaviour);
            }
        }
    )*};
}

/// Runs one test of the module `path`.
pub(crate) fn check(path: &str, method: StartMethod, behaviour: fn(StartMethod)) {
    let (_, module) = path.split_once("::").expect("a behaviour has a module");
    alone_with_one_thread(&format!("{module}::{method}"), || behaviour(method));
}
