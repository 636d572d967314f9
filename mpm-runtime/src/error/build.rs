//! The report of an object that could not be built.

use std::fmt;

use super::job::write_backtrace;

/// A job whose object could not be built: its constructor returned an error or panicked.
///
/// The job did not run, and its worker goes on. After three failures in a row a worker gives an object up: it ends further jobs of
/// it with the same reason at once, without calling the constructor. Another worker tries by itself.
///
/// ```
/// use mpm::{JobError, Pool, worker};
///
/// struct Model;
///
/// #[worker(name = "model")]
/// impl Model {
///     fn new(path: &str) -> Result<Self, std::io::Error> {
///         std::fs::read(path).map(|_| Model)
///     }
///
///     fn ask(&self) {}
/// }
///
/// #[mpm::main]
/// fn main() -> mpm::Result<()> {
///     let pool = Pool::builder().workers(1).build()?;
///     let Err(JobError::NotBuilt(report)) = pool.run(Model::remote("/no/such/file").ask()) else {
///         panic!("it was built");
///     };
///     assert_eq!((report.object.as_str(), report.builds, report.gave_up), ("model", 1, false));
///     assert!(report.reason.starts_with("No such file"));
///     Ok(())
/// }
/// ```
///
/// `{}` prints it with its backtrace where `RUST_BACKTRACE` asks for that, as for panics of this process; `{:#}` always does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotBuilt {
    /// The object's type, with the path of its module; or the `name` that its attribute gives it.
    pub object: String,
    /// The constructor's error with its sources, or the panic's message.
    pub reason: String,
    /// Whether the constructor panicked.
    pub panicked: bool,
    /// Of a panic: source file, line and column, if known.
    pub location: Option<String>,
    /// Of a panic: the backtrace, unless `RUST_BACKTRACE=0` forbids it.
    pub backtrace: Option<String>,
    /// How many times in a row this worker has tried to build the object.
    pub builds: u32,
    /// Whether this worker will not try again.
    pub gave_up: bool,
    /// The worker's name.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// The name of the job's target.
    pub target: &'static str,
    /// The job's id.
    pub job: u64,
    /// Which try at the job this was, from 1.
    pub attempt: u32,
}

impl fmt::Display for NotBuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, reason, builds, worker, pid, target, job, .. } = self;
        write!(f, "job {job} (`{target}`) did not run: the constructor of `{object}`")?;
        if self.panicked {
            f.write_str(" panicked")?;
            if let Some(location) = &self.location {
                write!(f, " at {location}")?;
            }
        } else {
            f.write_str(" failed")?;
        }
        write!(f, " in worker {worker} (pid {pid}): {reason}")?;
        if self.gave_up {
            write!(f, "; it has failed there {builds} times in a row, and this worker does not try again")?;
        }
        write_backtrace(f, self.backtrace.as_deref())
    }
}
