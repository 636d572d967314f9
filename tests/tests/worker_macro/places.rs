//! Targets in all places where functions can stand, under hostile names, with options and attributes.

use std::time::Duration;

use mpm::worker;
use serde::{Deserialize, Serialize};

use crate::{add, registration, run};

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
        pub(in crate::places::outer) fn named() -> u8 {
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
    assert_eq!(everywhere::NAME, "worker_macro::places::outer::inner::everywhere");
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

#[worker(crate = self::elsewhere::again::exported)]
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
    assert_eq!(r#match::NAME, "worker_macro::places::hostile_names::match");
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
