//! Arguments of constructors that do not travel as they should.

use std::path::Path;

use mpm::{JobError, Pool, worker};
use mpm_tests::watchdog;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::witness::{Diary, note};

/// An argument that does not travel as it should.
#[derive(Clone)]
struct Odd(u8);

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => Err(serde::ser::Error::custom("I stay here")),
            1 => panic!("I panic here"),
            other => serializer.serialize_u8(other),
        }
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            2 => Err(serde::de::Error::custom("I do not arrive")),
            other => Ok(Odd(other)),
        }
    }
}

struct Keeper(Odd);

#[worker]
impl Keeper {
    fn new(diary: &Path, odd: Odd) -> Self {
        note(diary, "built");
        Keeper(odd)
    }

    fn get(&self) -> u8 {
        self.0.0
    }

    fn add(&self, odd: Odd) -> u8 {
        self.0.0 + odd.0
    }
}

#[mpm::test]
fn arguments_that_do_not_travel() {
    let _guard = watchdog();
    let diary = Diary::new();
    let pool = Pool::builder().workers(1).build().unwrap();
    for (odd, part) in [(0, "I stay here"), (1, "panicked: I panic here")] {
        let keeper = Keeper::remote(&diary.file(), Odd(odd));
        let error = pool.submit(keeper.get()).unwrap().wait().unwrap_err();
        let JobError::Encode(data) = &error else { panic!("{error:?}") };
        assert!(!data.in_worker && data.reason.starts_with("describe the object `objects::arguments::Keeper`: "), "{error}");
        assert!(data.reason.ends_with(part), "{error}");
    }
    let keeper = Keeper::remote(&diary.file(), Odd(2));
    for _ in 0..5 {
        let JobError::Decode(data) = pool.run(keeper.get()).unwrap_err() else { panic!("not an error of decoding") };
        assert!(data.in_worker);
        assert_eq!(data.reason, "decode argument `odd` of type `Odd`: I do not arrive");
    }
    // The job's own arguments come first: nothing is built for a job that is none.
    let keeper = Keeper::remote(&diary.file(), Odd(3));
    assert!(matches!(pool.run(keeper.add(Odd(2))), Err(JobError::Decode(_))));
    assert!(diary.words().is_empty());
    assert_eq!(pool.run(keeper.add(Odd(4))).unwrap(), 7);
}
