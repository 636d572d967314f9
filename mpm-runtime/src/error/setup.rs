//! The error of everything that is not a job: settings, starting, the pool's own state.

use std::error::Error as StdError;
use std::fmt;

use super::death::write_stderr;
use super::job::JobError;

/// `Result` with mpm's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong outside of a job's own code.
///
/// It says of itself what kind it is by predicates, and prints as one line from the outermost context to the root cause.
/// Job errors and refused submissions convert into it with `?`.
///
/// ```
/// let error = mpm::Pool::builder().workers(0).build().unwrap_err();
/// assert!(error.is_setting());
/// assert!(error.to_string().contains("workers"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    context: String,
    stderr: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of error it is; the outside asks by predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NotInitialised,
    Setting,
    TooDeep,
    Registry,
    Closed,
    Full,
    Failed,
    Job,
    System,
}

impl Error {
    pub(crate) fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, context: context.into(), stderr: Vec::new(), source: None }))
    }

    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    pub(crate) fn with_stderr(mut self, lines: Vec<String>) -> Self {
        self.0.stderr = lines;
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// `mpm::init()` has not run in this process.
    #[must_use]
    pub fn is_not_initialised(&self) -> bool {
        self.0.kind == Kind::NotInitialised
    }

    /// A setting has a value that cannot be used.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        self.0.kind == Kind::Setting
    }

    /// Pools and processes lie too deep in one another: this process is ten levels below the program's first one, and may start
    /// none.
    #[must_use]
    pub fn is_too_deep(&self) -> bool {
        self.0.kind == Kind::TooDeep
    }

    /// The registered targets contradict each other, or one is missing.
    #[must_use]
    pub fn is_registry(&self) -> bool {
        self.0.kind == Kind::Registry
    }

    /// The pool takes no more jobs: it was joined, shut down or killed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// The pool's queue is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// The pool has given up, with the reason in the text.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.0.kind == Kind::Failed
    }

    /// The system refused what the pool needs: threads, descriptors, memory.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.kind == Kind::System
    }

    /// A job ended badly, and [`job`](Self::job) gives its error; or it returned a [`Failure`](crate::Failure) that was passed
    /// on as this error.
    #[must_use]
    pub fn is_job(&self) -> bool {
        self.0.kind == Kind::Job
    }

    /// The job error that this error was made from; `None` if it was made from something else, a
    /// [`Failure`](crate::Failure) for instance.
    #[must_use]
    pub fn job(&self) -> Option<&JobError> {
        self.0.source.as_deref().and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.context)?;
        let mut source = self.0.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        write_stderr(f, &self.0.stderr)
    }
}

/// As [`Display`](fmt::Display): `fn main() -> mpm::Result<()>` prints the `Debug` form, and people shall read it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    // The source is part of the text already, so it is not offered a second time.
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        Self::new(Kind::Job, "a job failed").because(error)
    }
}
