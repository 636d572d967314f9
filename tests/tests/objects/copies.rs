//! Objects where processes are copies of others: each object is dropped by the process that has built it, and one description never
//! means another's object.

use std::path::Path;

use mpm::{Process, StartMethod, worker};
use mpm_tests::alone_with_one_thread;

use crate::witness::{Diary, Witness, note, patient};

/// Its drop panics.
pub(crate) struct Loud;

#[worker]
impl Loud {
    pub(crate) fn new() -> Self {
        Loud
    }

    pub(crate) fn call(&self) {}
}

impl Drop for Loud {
    fn drop(&mut self) {
        panic!("a last word");
    }
}

/// An object that starts processes in its worker.
struct Starter;

#[worker]
impl Starter {
    fn new(diary: &Path) -> Self {
        note(diary, "built starter");
        Starter
    }

    /// A process by fork, which is a copy of this worker with all of its objects, and calls one that is described here.
    fn start(&mut self, diary: &Path) -> (u32, u32) {
        let own = Witness::remote(diary, "described in the worker");
        Process::builder(own.call()).start_method(StartMethod::Fork).start().unwrap().wait().unwrap()
    }

    /// A pool by fork in this worker.
    fn nest(&mut self, diary: &Path) -> Vec<u32> {
        let own = Witness::remote(diary, "described in the worker");
        let pool = patient().workers(1).start(StartMethod::Fork).build().unwrap();
        let calls = (0..3).map(|_| pool.run(own.call()).unwrap().1).collect();
        pool.join();
        calls
    }
}

#[mpm::test]
fn a_copy_of_a_worker() {
    alone_with_one_thread("copies::a_copy_of_a_worker", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let pool = patient().workers(1).start(method).build().unwrap();
            // The first ones that are described here, as the one in the worker is the first there.
            let witness = Witness::remote(&diary.file(), "described in the parent");
            let starter = Starter::remote(&diary.file());
            let (worker, _) = pool.run(witness.call()).unwrap();
            let (copy, calls) = pool.run(starter.start(&diary.file())).unwrap();
            assert_eq!(calls, 1, "{method}: it has called the parent's object");
            assert_eq!(pool.run(starter.nest(&diary.file())).unwrap(), [1, 2, 3], "{method}");
            assert_eq!(pool.run(witness.call()).unwrap(), (worker, 2), "{method}");
            pool.join();
            let of =
                |line: &str| diary.lines().into_iter().filter(|(other, _)| other == line).map(|(_, pid)| pid).collect::<Vec<_>>();
            assert_eq!(of("dropped described in the parent"), [worker], "{method}: and not by its copies");
            assert_eq!(of("built starter"), [worker]);
            let own = of("dropped described in the worker");
            assert!(own.len() == 2 && own[0] == copy && own[1] != worker, "{method}: {:?}", diary.lines());
        }
    });
}
