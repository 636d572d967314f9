//! Objects that are built before there are workers.

use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, Worker, worker};
use mpm_tests::{alone_with_one_thread, children_of, kill, process_gone, wait_until};
use serde::{Deserialize, Serialize};

use crate::witness::{Diary, note, patient};

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Way {
    Works,
    Fails,
    Panics,
    Dies,
    Hangs,
}

/// An object that one thread can build for another one.
struct Font {
    diary: PathBuf,
    name: String,
    calls: u32,
}

#[worker]
impl Font {
    fn new(diary: &Path, name: String, way: Way) -> Result<Self, String> {
        note(diary, &format!("built {name}"));
        match way {
            Way::Works => Ok(Font { diary: diary.to_owned(), name, calls: 0 }),
            Way::Fails => Err("the font is broken".to_owned()),
            Way::Panics => panic!("no font today"),
            Way::Dies => {
                mpm_tests::raise(libc::SIGKILL);
                Err("it lives".to_owned())
            }
            Way::Hangs => loop {
                std::thread::park();
            },
        }
    }

    /// Its process, and how often it was called there.
    fn draw(&mut self) -> (u32, u32) {
        self.calls += 1;
        (process::id(), self.calls)
    }

    fn fail(&mut self) {
        panic!("it broke");
    }
}

impl Drop for Font {
    fn drop(&mut self) {
        note(&self.diary, &format!("dropped {}", self.name));
    }
}

fn font(diary: &Diary, name: &str) -> FontRemote {
    Font::remote(&diary.file(), name.to_owned(), Way::Works)
}

#[worker]
fn prepare(diary: &Path) {
    note(diary, "prepared");
}

/// Runs jobs until so many workers have answered one.
fn meet(pool: &Pool, font: &FontRemote, workers: usize) -> Vec<u32> {
    let mut met = Vec::new();
    wait_until("all workers have drawn", || {
        let jobs: Vec<_> = (0..workers * 4).map(|_| pool.submit(font.draw()).unwrap()).collect();
        met.extend(jobs.into_iter().map(|job| job.wait().unwrap().0));
        met.sort_unstable();
        met.dedup();
        met.len() == workers
    });
    met
}

#[mpm::test]
fn built_once_and_shared() {
    alone_with_one_thread("preload::built_once_and_shared", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let [font, other] = [font(&diary, "serif"), font(&diary, "sans")];
            // In this order; a clone is the same object.
            let builder = patient().workers(2).preload(&font).preload(prepare::job(&diary.file())).preload(&font.clone());
            let pool = builder.preload(&other).start(method).build().unwrap();
            let workers = meet(&pool, &font, 2);
            let before = diary.lines();
            let expected = ["built serif", "prepared", "built sans"];
            if method == StartMethod::Spawn {
                for worker in &workers {
                    let own: Vec<_> = before.iter().filter(|(_, pid)| pid == worker).map(|(line, _)| line.as_str()).collect();
                    assert_eq!(own, expected, "{method}");
                }
            } else {
                assert_eq!(diary.words(), expected, "{method}");
                assert!(workers.iter().all(|worker| *worker != before[0].1), "{method}: it was built in the template");
            }
            // Its successor has it as well.
            kill(workers[0], libc::SIGKILL);
            wait_until("it is gone", || process_gone(workers[0]));
            meet(&pool, &font, 2);
            pool.join();
            let (built, dropped) = (diary.count("built serif"), diary.count("dropped serif"));
            if method == StartMethod::Spawn {
                // The one that was killed drops nothing; what was never used is dropped too.
                assert_eq!((built, dropped, diary.count("dropped sans")), (3, 2, 2), "{method}");
            } else {
                // It is the template's, and ends with that.
                assert_eq!((built, dropped, diary.count("dropped sans")), (1, 0, 0), "{method}: {:?}", diary.lines());
            }
        }
    });
}

#[mpm::test]
fn each_worker_changes_its_own() {
    alone_with_one_thread("preload::each_worker_changes_its_own", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let font = font(&diary, "serif");
            let pool = patient().workers(1).max_jobs(2).preload(&font).start(method).build().unwrap();
            let calls: Vec<u32> = (0..6).map(|_| pool.run(font.draw()).unwrap().1).collect();
            assert_eq!(calls, [1, 2, 1, 2, 1, 2], "{method}");
        }
    });
}

/// After a panic a worker builds its own, which it drops in the end.
#[mpm::test]
fn a_panic_costs_one_worker_its_copy() {
    alone_with_one_thread("preload::a_panic_costs_one_worker_its_copy", || {
        for method in StartMethod::ALL {
            let diary = Diary::new();
            let font = font(&diary, "serif");
            let pool = patient().workers(1).preload(&font).start(method).build().unwrap();
            let (worker, _) = pool.run(font.draw()).unwrap();
            assert!(pool.run(font.fail()).unwrap_err().is_panicked());
            assert_eq!(pool.run(font.draw()).unwrap(), (worker, 1));
            pool.join();
            let own: Vec<_> = diary.lines().into_iter().filter(|(_, pid)| *pid == worker).map(|(line, _)| line).collect();
            let spawned = ["built serif", "dropped serif", "built serif", "dropped serif"];
            assert_eq!(own, if method == StartMethod::Spawn { &spawned[..] } else { &spawned[2..] }, "{method}");
        }
    });
}

#[mpm::test]
fn those_that_fail() {
    alone_with_one_thread("preload::those_that_fail", || {
        for method in StartMethod::ALL {
            for (way, parts) in [
                (Way::Fails, ["`objects::preload::Font::new` failed: the font is broken", ""]),
                (Way::Panics, ["`objects::preload::Font::new` panicked at ", "no font today"]),
                (Way::Dies, ["objects::preload::Font::new", "SIGKILL"]),
                (Way::Hangs, ["objects::preload::Font::new", "5s"]),
            ] {
                let diary = Diary::new();
                let font = Font::remote(&diary.file(), "serif".to_owned(), way);
                // The others end by themselves, and may take their time.
                let time = Duration::from_secs(if way == Way::Hangs { 5 } else { 60 });
                let pool = patient().workers(2).start_timeout(time).preload(&font).start(method).build().unwrap();
                let error = pool.run(font.draw()).unwrap_err();
                assert!(matches!(error, JobError::PoolFailed(_)), "{method}: {error:?}");
                let text = error.to_string();
                parts.iter().for_each(|part| assert!(text.contains(part), "{method}: no {part:?} in: {text}"));
                drop(pool);
                wait_until("nothing is left", || children_of(process::id()).is_empty());
            }
        }
    });
}

struct Stays;

impl Serialize for Stays {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I stay here"))
    }
}

impl<'de> Deserialize<'de> for Stays {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Stays)
    }
}

struct Unreachable;

#[worker]
impl Unreachable {
    fn new(_stays: Stays) -> Self {
        Unreachable
    }
}

#[mpm::test]
fn one_that_cannot_be_described() {
    let error = patient().preload(&Unreachable::remote(Stays)).build().unwrap_err();
    assert!(error.is_setting());
    let text = error.to_string();
    assert!(
        text.starts_with("Builder::preload: job `objects::preload::Unreachable::new`: ") && text.ends_with("I stay here"),
        "{text}"
    );
}

/// A struct that is a worker by itself.
#[worker]
#[derive(Default)]
struct Ready(Option<u32>, u32);

impl Worker for Ready {
    type Args = bool;
    type Output = (u32, u32);

    /// Says who had it first, which may be nobody, and how often it ran.
    fn run(&mut self, _: bool) -> (u32, u32) {
        self.1 += 1;
        (*self.0.get_or_insert_with(process::id), self.1)
    }
}

#[mpm::test]
fn a_struct_can_be_preloaded() {
    alone_with_one_thread("preload::a_struct_can_be_preloaded", || {
        for method in StartMethod::ALL {
            let pool = patient().workers(1).preload(&Ready::remote()).start(method).build().unwrap();
            let (worker, calls) = pool.run(Ready::job(true)).unwrap();
            assert_eq!(calls, 1);
            assert_eq!(pool.run(Ready::job(true)).unwrap(), (worker, 2), "{method}");
        }
    });
}
