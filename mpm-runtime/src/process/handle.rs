//! The handle of a single process.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::ProcessBuilder;
use super::running::Running;
use crate::codec::{Decode, decode_caught};
use crate::error::{Error, HowItEnded, Kind, Result};
use crate::registry::{Job, Target};
use crate::start::{StartMethod, kill_minded};
use crate::sys::{SIGINT, SIGTERM, is_gone};

/// A process of its own for one job.
///
/// [`Process::builder`] says what it shall be like and [`start`](ProcessBuilder::start) starts it. The process can then be asked, waited
/// for, and ended; [`wait`](Self::wait) gives what the job returned. Dropping the handle lets the process go on; it is reaped when it ends.
///
/// When this program ends it waits for its processes, unless they are [daemons](ProcessBuilder::daemon): those, and all that are left if
/// this program is killed, the kernel kills.
///
/// ```
/// use mpm::{Process, worker};
///
/// #[worker]
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let process = Process::builder(add::job(1, 2)).name("adder").start()?;
///     assert_eq!(process.name(), "adder");
///     process.join()?;
///     process.join()?; // as often as one likes
///     assert_eq!(process.exit_status().unwrap().code(), Some(0));
///     assert_eq!(process.wait()?, 3);
///     Ok(())
/// }
/// ```
///
/// A process cannot be joined before it is started, or started twice: there is no handle before `start`, and `start` consumes the
/// builder.
///
/// ```compile_fail,E0382
/// # use mpm::{Process, worker};
/// # #[worker]
/// # fn work() {}
/// let builder = Process::builder(work::job());
/// builder.start()?;
/// builder.start()?; // error[E0382]: use of moved value
/// # Ok::<(), mpm::Error>(())
/// ```
///
/// # Exit status
/// | the job | exit status | [`wait`](Self::wait) |
/// |---|---|---|
/// | returned, whatever it returned | code 0 | the value |
/// | panicked | code 101 | an error whose [`job`](Error::job) is [`JobError::Panicked`](crate::JobError::Panicked) |
/// | called `exit(n)` | code n | `JobError::Died`, for 0 too |
/// | was ended by a signal | that signal | `JobError::Died` |
///
/// The job's number in these errors is 0.
///
/// # Fork safety
/// A copy of this process that was made by other means cannot wait for its processes: they are not its children. Methods that wait
/// or signal return an error there.
#[must_use = "without its handle the process goes on, and its value is lost"]
pub struct Process<R> {
    running: Arc<Running>,
    decode: Decode<R>,
    takes_value: bool,
    value: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// The settings of a process that runs `job`.
    pub fn builder<'a, F: Target>(job: Job<'a, F>) -> ProcessBuilder<'a, F> {
        ProcessBuilder::new(job)
    }

    pub(super) fn untyped(running: Arc<Running>) -> Self {
        Self { running, decode: |_| Ok(()), takes_value: false, value: PhantomData }
    }
}

impl<R> Process<R> {
    pub(super) fn new(running: Arc<Running>, decode: Decode<R>) -> Self {
        Self { running, decode, takes_value: true, value: PhantomData }
    }

    /// Its name: the one it was given, or `process-1`, `process-2`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.running.name
    }

    /// Its process id. It belongs to this process as long as that runs, and may be another's later.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid
    }

    /// How it was started.
    #[must_use]
    pub fn start_method(&self) -> StartMethod {
        self.running.method
    }

    /// Whether it ends with this program, which does not wait for it.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.running.daemon
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.exit_status().is_none()
    }

    /// How it ended; `None` as long as it runs. Once [`wait_fd`](Self::wait_fd) is ready there is an answer.
    #[must_use]
    pub fn exit_status(&self) -> Option<HowItEnded> {
        self.running.exit_status()
    }

    /// Waits for its end. May be called as often as one likes, from several threads too.
    ///
    /// # Errors
    /// In a copy of the process that started it.
    pub fn join(&self) -> Result<HowItEnded> {
        self.running.check_owner()?;
        Ok(self.running.wait(None).unwrap_or(HowItEnded::Unknown))
    }

    /// Waits for its end, for so long at most; `None` if it runs still. With a `timeout` of zero it looks and returns.
    ///
    /// # Errors
    /// In a copy of the process that started it.
    pub fn join_timeout(&self, timeout: Duration) -> Result<Option<HowItEnded>> {
        self.running.check_owner()?;
        Ok(self.running.wait(Instant::now().checked_add(timeout)))
    }

    /// Waits for its end and returns what its job returned.
    ///
    /// # Errors
    /// When the job panicked, its process ended without a result, or that cannot be read: [`Error::job`] has the report. In a copy of
    /// the process that started it.
    pub fn wait(self) -> Result<R> {
        self.join()?;
        let bytes = self.running.outcome(self.takes_value)?;
        decode_caught(self.decode, bytes.into()).map_err(|reason| self.running.bad_data(reason, false).into())
    }

    /// Asks it to end, by SIGTERM. Its job may catch that. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// When the system refuses; in a copy of the process that started it.
    pub fn terminate(&self) -> Result<()> {
        self.signal(SIGTERM)
    }

    /// Interrupts it, by SIGINT, as Ctrl-C does to a program at a terminal. Its job may catch that. Nothing happens to one that has
    /// ended.
    ///
    /// # Errors
    /// When the system refuses; in a copy of the process that started it.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(SIGINT)
    }

    /// Ends it and all of its process group, by SIGKILL. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// In a copy of the process that started it.
    pub fn kill(&self) -> Result<()> {
        self.running.check_owner()?;
        kill_minded(self.running.number());
        Ok(())
    }

    fn signal(&self, number: i32) -> Result<()> {
        self.running.check_owner()?;
        match self.running.pidfd.signal(number) {
            Err(error) if !is_gone(&error) => {
                Err(Error::new(Kind::System, format!("send a signal to process {}", self.name())).because(error))
            }
            _ => Ok(()),
        }
    }

    /// A descriptor that is ready for reading once the process has ended (a pidfd), for poll(2), epoll(7) and event loops.
    #[must_use]
    pub fn wait_fd(&self) -> BorrowedFd<'_> {
        self.running.pidfd.as_fd()
    }

    /// Lets go of a process that has ended. Dropping the handle does the same, and does not mind if it runs still.
    ///
    /// # Errors
    /// When it has not ended. It goes on.
    pub fn close(self) -> Result<()> {
        if self.is_alive() {
            return Err(Error::new(
                Kind::Setting,
                format!("process {} has not ended: join or kill it before it is closed", self.name()),
            ));
        }
        Ok(())
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.exit_status().map_or_else(|| "runs".to_owned(), |how| how.to_string());
        write!(f, "Process({}, pid {}: {state})", self.name(), self.pid())
    }
}
