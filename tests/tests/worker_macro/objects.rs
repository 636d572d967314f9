//! Objects in all places and forms, under hostile names, with options and attributes; without processes, as the rest of this test.

use std::path::Path;
use std::time::Duration;

use mpm::__private::Registry;
use mpm::{Phase, Target, Worker, worker};
use serde::{Deserialize, Serialize};

use crate::{call, registration, run, run_object};

/// Its parameters have the names of what is generated.
struct Hostile {
    sum: u32,
}

#[worker]
#[expect(clippy::too_many_arguments, reason = "names that generated code might use")]
impl Hostile {
    pub(crate) fn new(object: u32, to: u32, arguments: u32, made: u32, value0: u32, call: u32, f: u32, args: &u32) -> Self {
        Hostile { sum: object + to + arguments + made + value0 + call + f + args }
    }

    fn names(&mut self, object: u32, held: u32, call: u32, output: u32, to: u32, value1: &u32, args: u32) -> u32 {
        self.sum += object + held + call + output + to + value1 + args;
        self.sum
    }

    fn r#type(&self, r#match: u32) -> u32 {
        self.sum + r#match
    }

    fn object(&self) -> u32 {
        self.sum
    }

    fn blueprint(&self) -> u32 {
        self.sum
    }

    fn call(&self) -> u32 {
        self.sum
    }

    fn clone(&self) -> u32 {
        self.sum
    }
}

#[test]
fn names_do_not_meet() {
    let hostile = Hostile::remote(1, 2, 3, 4, 5, 6, 7, &8);
    assert_eq!(run_object(hostile.names(1, 1, 1, 1, 1, &1, 1)), 43);
    assert_eq!(run(hostile.r#type(1)), 44);
    assert_eq!(run(hostile.object()) + run(hostile.blueprint()) + run(hostile.call()) + run(hostile.clone()), 4 * 43);
    assert_eq!(<Hostile_type as Target>::NAME, "worker_macro::objects::Hostile::type");
    // The type is what it was.
    assert_eq!(Hostile::new(1, 0, 0, 0, 0, 0, 0, &0).names(1, 0, 0, 0, 0, &0, 0), 2);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point(i32, i32);

/// `Self` in all places, and what an `impl` block may hold besides.
#[worker]
impl Point {
    const ORIGIN: Self = Point(0, 0);

    fn new(start: Option<Self>) -> Self {
        start.unwrap_or(Self::ORIGIN)
    }

    /// Moves it.
    fn go(&mut self, by: Self, times: &i32) -> Self {
        self.0 += by.0 * times;
        self.1 += by.1 * times;
        self.clone()
    }

    fn nearest(&self, others: &[Self]) -> Result<Self, String> {
        others.iter().min_by_key(|other| self.distance(other)).cloned().ok_or_else(|| "there is none".to_owned())
    }

    #[worker(skip)]
    fn distance(&self, other: &Point) -> u32 {
        self.0.abs_diff(other.0) + self.1.abs_diff(other.1)
    }

    /// Takes it away, which no job can.
    #[worker(skip)]
    fn into_parts(self) -> (i32, i32) {
        (self.0, self.1)
    }

    fn helper<T: From<u8>>() -> T {
        T::from(7)
    }

    #[cfg(any())]
    fn absent(&self, _of: NoSuchType) {}

    #[cfg(not(any()))]
    fn present(&self) -> bool {
        true
    }
}

#[test]
fn an_impl_block_keeps_what_it_holds() {
    let point = Point::remote(Some(Point(1, 1)));
    assert_eq!(run_object(point.go(Point(1, 2), &2)), Point(3, 5));
    assert_eq!(run(point.nearest(&[Point(9, 9), Point(4, 4)])), Ok(Point(4, 4)));
    assert_eq!(run(point.nearest(&[])), Err("there is none".to_owned()));
    assert!(run(point.present()));
    assert_eq!(Point::new(None).into_parts(), (0, 0));
    assert_eq!(Point::helper::<u32>(), 7);
    let registry = Registry::global().expect("no duplicates");
    let mut names = (0..).map_while(|index| registry.get(index)).map(|target| target.name);
    assert!(names.all(|name| !name.contains("Point::distance") && !name.contains("Point::into_parts")));
}

enum Light {
    On,
    Off,
}

/// Any type with a name can be an object; options are stored.
#[worker(name = "a light")]
impl Light {
    fn new() -> Light {
        Light::Off
    }

    #[worker(timeout = "5s", retries = 3)]
    fn switch(&mut self) -> bool {
        *self = match self {
            Light::On => Light::Off,
            Light::Off => Light::On,
        };
        matches!(self, Light::On)
    }

    #[worker(name = "is it on")]
    fn is_on(&self) -> bool {
        matches!(self, Light::On)
    }
}

#[test]
fn options_are_stored() {
    let light = Light::remote();
    assert!(run_object(light.switch()));
    assert!(run(light.is_on()));
    let registered = registration::<Light_switch>();
    assert_eq!(
        (registered.name, registered.timeout, registered.retries),
        ("a light::switch", Some(Duration::from_secs(5)), Some(3))
    );
    assert!(registered.signature.contains("fn switch"), "{}", registered.signature);
    assert_eq!(registration::<Light_is_on>().name, "is it on");
}

mod outer {
    pub(crate) mod inner {
        /// Seen from elsewhere.
        #[derive(Debug)]
        pub(crate) struct Seen(pub(crate) u8);
    }

    use mpm::worker;

    #[worker]
    impl inner::Seen {
        pub(crate) fn new(n: u8) -> Result<inner::Seen, std::num::ParseIntError> {
            "1".parse().map(|one: u8| inner::Seen(one + n))
        }

        pub(crate) fn get(&self) -> u8 {
            self.0
        }
    }
}

/// Methods that are more visible than the type, and than what they return.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Label(u8);

struct Private;

#[worker]
#[expect(unreachable_pub, reason = "said once, for the methods")]
impl Private {
    pub fn new(_label: Label) -> Self {
        Private
    }

    pub fn label(&self, label: &Label) -> Label {
        Label(label.0)
    }
}

#[test]
fn less_visible_than_its_methods() {
    assert_eq!(run_object(Private::remote(Label(1)).label(&Label(2))), Label(2));
}

#[test]
fn elsewhere_and_in_a_function_body() {
    assert_eq!(run_object(outer::inner::Seen::remote(2).get()), 3);

    struct Local(String);

    #[worker]
    impl Local {
        fn new(path: &Path) -> Self {
            Local(path.display().to_string())
        }

        fn get(&self, more: &str) -> String {
            format!("{}{more}", self.0)
        }
    }
    assert_eq!(run_object(Local::remote(Path::new("a")).get("b")), "ab");

    #[worker(name = "worker_macro::summing")]
    #[derive(Default)]
    struct Summing(u32);

    impl Worker for Summing {
        type Args = (u32, Vec<u32>);
        type Output = u32;

        fn run(&mut self, (first, rest): Self::Args) -> u32 {
            self.0 += first + rest.iter().sum::<u32>();
            self.0
        }
    }
    assert_eq!(run_object(Summing::job((1, vec![2, 3]))), 6);
    assert_eq!(run(Summing::job((1, vec![]))), 7);
}

macro_rules! make {
    ($name:ident, $method:ident, $ty:ty) => {
        struct $name($ty);

        #[worker]
        impl $name {
            fn new(start: $ty) -> Self {
                $name(start)
            }

            fn $method(&mut self, by: $ty) -> $ty {
                self.0 += by;
                self.0
            }
        }
    };
}

make!(Small, add, u8);
make!(Large, add, u64);

#[test]
fn made_by_macros() {
    assert_eq!(run_object(Small::remote(1).add(2)), 3);
    assert_eq!(run_object(Large::remote(1).add(2)), 3);
}

/// What a worker is told of a job of an object, and what it makes of other bytes.
#[test]
fn bytes_that_are_no_description() {
    let light = Light::remote();
    let good = light.is_on().encode().expect("nothing in it");
    assert_eq!(call::<Light_is_on>(&good).expect("it works").phases[0], Phase::Building);
    assert_eq!(call::<Light_is_on>(&good).expect("it is kept").phases[0], Phase::Running);
    for bad in [&[][..], &good[..good.len() - 1], &[255; 30], &[1, 1, 9]] {
        let error = call::<Light_is_on>(bad).err().expect("it is none");
        assert!(error.is_argument() && error.to_string().starts_with("decode which object is meant: "), "{error}");
    }
    let error = call::<Light_is_on>(&[&good[..], &[1]].concat()).err().expect("there is one byte more");
    assert_eq!(error.to_string(), "decode the arguments: 1 bytes are left over behind the value");
}
