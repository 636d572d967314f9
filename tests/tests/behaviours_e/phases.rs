//! Behaviours 77 to 79: a worker dies while it decodes a job, runs it, or encodes its result, in every way in which a process can end.

use mpm::{DidRun, HowItEnded, JobError, Phase, StartMethod, worker};
use mpm_tests::{Gate, kill, process_gone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

use crate::jobs::{Way, die, double, pass, pid, worker_counts};
use crate::{WAYS, check_how, death, pool_of, terse_pool};

conform!(
    e77_dies_while_decoding,
    e77_fails_while_decoding,
    e78_dies_while_running,
    e78_killed_from_outside_while_running,
    e79_dies_while_encoding,
    e79_fails_while_encoding,
);

/// An argument that kills its worker while it is decoded.
struct DiesInDecoding(Way);

impl Serialize for DiesInDecoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DiesInDecoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let way = Way::deserialize(deserializer)?;
        way.go();
        Ok(Self(way))
    }
}

#[worker]
fn take_dying(owned: DiesInDecoding) -> bool {
    matches!(owned.0, Way::Abort)
}

#[worker]
fn take_dying_borrowed(borrowed: &DiesInDecoding) -> bool {
    matches!(borrowed.0, Way::Abort)
}

fn e77_dies_while_decoding(method: StartMethod) {
    for workers in worker_counts() {
        let pool = terse_pool(method, workers);
        for (way, expected, words) in WAYS {
            for borrowed in [false, true] {
                let argument = DiesInDecoding(way);
                let job = if borrowed {
                    pool.submit(take_dying_borrowed::job(&argument)).unwrap()
                } else {
                    pool.submit(take_dying::job(DiesInDecoding(way))).unwrap()
                };
                let death = death(job.wait());
                check_how(&death, expected);
                assert_eq!((death.phase, death.did_run), (Phase::Decoding, DidRun::No), "{way:?}");
                assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
            }
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

/// An argument that cannot be decoded, or panics on the way.
#[derive(Serialize)]
struct NotDecoded {
    panics: bool,
}

impl<'de> Deserialize<'de> for NotDecoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert!(!bool::deserialize(deserializer)?, "in decoding");
        Err(serde::de::Error::custom("never to be read"))
    }
}

#[worker]
fn take_not_decoded(it: NotDecoded) -> bool {
    it.panics
}

/// Neither costs a worker, nor a job before or behind it.
fn e77_fails_while_decoding(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        let first = pool.run(pid::job()).unwrap();
        for panics in [false, true] {
            let before: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            let job = pool.submit(take_not_decoded::job(NotDecoded { panics })).unwrap();
            let behind: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            match job.wait() {
                Err(JobError::Decode(error)) if !panics => {
                    assert!(error.in_worker && error.target == take_not_decoded::NAME, "{error}");
                    assert!(error.reason.contains("never to be read"), "{error}");
                }
                Err(JobError::Panicked(panicked)) if panics => {
                    assert!(panicked.message == "in decoding" && !process_gone(panicked.pid), "{panicked}");
                }
                other => panic!("{panics}: {other:?}"),
            }
            for jobs in [before, behind] {
                assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == 2 * n));
            }
        }
        assert!(workers > 1 || pool.run(pid::job()).unwrap() == first);
    }
}

fn e78_dies_while_running(method: StartMethod) {
    for workers in worker_counts() {
        let pool = terse_pool(method, workers);
        for (way, expected, words) in WAYS {
            let job = pool.submit(die::job(way)).unwrap();
            let id = job.id();
            let death = death(job.wait());
            check_how(&death, expected);
            assert_eq!((death.phase, death.did_run), (Phase::Running, DidRun::Maybe), "{way:?}");
            assert_eq!((death.target, death.job), (die::NAME, id));
            assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
            assert_eq!(pool.run(double::job(1)).unwrap(), 2, "after {way:?}");
        }
    }
}

fn e78_killed_from_outside_while_running(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    for workers in worker_counts() {
        let gate = Gate::new(folder.path(), &format!("gate-{workers}"));
        let path = gate.path();
        let pool = pool_of(method, workers);
        let jobs: Vec<_> = (0..workers).map(|_| pool.submit(pass::job(&path)).unwrap()).collect();
        gate.wait_for(workers as u64);
        for (job, signal) in jobs.into_iter().zip([libc::SIGKILL, libc::SIGTERM, libc::SIGUSR2, libc::SIGUSR1].into_iter().cycle())
        {
            let pid = job.report().pid.unwrap();
            kill(pid, signal);
            let death = death(job.wait());
            assert_eq!((death.pid, death.phase), (pid, Phase::Running));
            assert!(matches!(death.how, HowItEnded::Signal { number, .. } if number == signal), "{:?}", death.how);
            assert_eq!(death.out_of_memory, Some(false));
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

/// A result that kills its worker while it is encoded.
#[derive(Debug)]
struct DiesInEncoding(Way);

impl Serialize for DiesInEncoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.go();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DiesInEncoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Way::deserialize(deserializer).map(Self)
    }
}

#[worker]
fn give_dying(way: Way) -> DiesInEncoding {
    DiesInEncoding(way)
}

fn e79_dies_while_encoding(method: StartMethod) {
    for workers in worker_counts() {
        let pool = terse_pool(method, workers);
        for (way, expected, words) in WAYS {
            let death = death(pool.run(give_dying::job(way)));
            check_how(&death, expected);
            assert_eq!((death.phase, death.did_run), (Phase::Encoding, DidRun::Yes), "{way:?}");
            assert!(death.stderr.iter().any(|line| line.contains(words)), "{way:?}: {:?}", death.stderr);
        }
        assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    }
}

/// A result that cannot be encoded, or panics on the way.
#[derive(Debug, Deserialize)]
struct NotEncoded {
    panics: bool,
}

impl Serialize for NotEncoded {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "in encoding");
        Err(serde::ser::Error::custom("never to be written"))
    }
}

#[worker]
fn give_not_encoded(panics: bool) -> NotEncoded {
    NotEncoded { panics }
}

/// Only that job fails; its worker goes on.
fn e79_fails_while_encoding(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        for panics in [false, true] {
            let before: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            let job = pool.submit(give_not_encoded::job(panics)).unwrap();
            let behind: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
            mpm::wait_all(std::slice::from_ref(&job));
            let worker = job.report().pid.unwrap();
            match job.wait() {
                Err(JobError::Encode(error)) if !panics => {
                    assert!(error.in_worker && error.target == give_not_encoded::NAME, "{error}");
                    assert!(error.reason.contains("never to be written"), "{error}");
                }
                Err(JobError::Panicked(panicked)) if panics => {
                    assert_eq!((panicked.message.as_str(), panicked.pid), ("in encoding", worker));
                }
                other => panic!("{panics}: {other:?}"),
            }
            for jobs in [before, behind] {
                assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == 2 * n));
            }
            assert!(!process_gone(worker));
        }
    }
}
