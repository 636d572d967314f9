//! What is called with a job's end in the program that submitted it: set on the job, kept with it until it is accepted, called
//! by its pool.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::job::Job;
use super::report::Report;
use super::target::Target;
use crate::codec::decode_caught;
use crate::error::{DataError, JobError};

/// How a job ended, for [`Job::on_done`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Done<R> {
    /// Its value, or why there is none.
    pub outcome: Result<R, JobError>,
    /// How it went.
    pub report: Report,
}

/// The result of a job as it came, or why there is none.
pub(crate) type Encoded = Result<Vec<u8>, JobError>;

/// What is called when a job has ended.
type Then = Box<dyn FnOnce(Encoded, Report) + Send>;

/// All that is called when a job has ended, in this order: called once, whoever comes first.
#[derive(Clone, Default)]
pub(crate) struct OnDone(Arc<Mutex<Vec<Then>>>);

impl OnDone {
    fn add(&self, then: Then) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(then);
    }

    /// What is to be called, for whoever calls it.
    pub(crate) fn take(&self) -> Vec<Then> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for OnDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDone")
    }
}

impl<F: Target> Job<'_, F> {
    /// Has `then` called once with the job's end, whichever it is: a value, a panic, the death of its worker, a cancellation, the
    /// failure of the pool. Several are called in the order in which they were set.
    ///
    /// It is called in this process, on the pool's thread for callbacks, for one job after the other, in the order in which the jobs
    /// end. It may use the pool in every way: submit, cancel, wait, end it, drop the last handle to it. While it does not return, no other
    /// callback of the pool runs, and [`join`](crate::Pool::join) and its like do not return elsewhere: they return when all callbacks
    /// have run. One that panics hurts nobody; the panic is printed as any other.
    ///
    /// The job's handle gives the outcome all the same. Where it has not been dropped, the encoded result is copied, and decoded for
    /// each.
    ///
    /// A job that is not accepted has not ended, and is handed back with what it was to call.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use mpm::{Pool, worker};
    ///
    /// #[worker]
    /// fn double(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// #[mpm::main]
    /// fn main() -> mpm::Result<()> {
    ///     let pool = Pool::builder().workers(2).build()?;
    ///     let (results, inbox) = mpsc::channel();
    ///     for n in 1..=3 {
    ///         let results = results.clone();
    ///         let job = double::job(n).on_done(move |done| results.send(done.outcome).unwrap());
    ///         drop(pool.submit(job)?); // nobody waits for it
    ///     }
    ///     pool.join();
    ///     let sum: u32 = inbox.try_iter().map(|outcome| outcome.unwrap()).sum();
    ///     assert_eq!(sum, 12);
    ///     Ok(())
    /// }
    /// ```
    pub fn on_done(mut self, then: impl FnOnce(Done<F::Output>) + Send + 'static) -> Self {
        let call = move |encoded: Encoded, report: Report| {
            let outcome = encoded.and_then(|bytes| {
                decode_caught(F::decode_output, bytes.into()).map_err(|reason| {
                    let error = DataError { job: report.job, target: report.target, reason, in_worker: false };
                    JobError::Decode(Box::new(error))
                })
            });
            then(Done { outcome, report });
        };
        self.options_mut().on_done.get_or_insert_default().add(Box::new(call));
        self
    }
}
