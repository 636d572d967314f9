//! The exit codes that mpm itself gives a worker process.

/// The exit codes with which mpm ends a worker process of its own accord.
///
/// A job that calls [`std::process::exit`] may use any code, these too; mpm's own ends also say why on standard error.
///
/// ```
/// assert_eq!(mpm::WorkerExit::LinkDamaged.code(), 120);
/// assert_eq!(mpm::WorkerExit::from_code(0), Some(mpm::WorkerExit::Finished));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerExit {
    /// 0: the pool told the worker to end.
    Finished,
    /// 120: the worker could not use its link any more. Its shared memory had been written over, by a stray pointer in a job
    /// for instance; or a job had closed the link's descriptors, or left none for large arguments or an answer. The last
    /// line on standard error says why.
    LinkDamaged,
    /// 121: the parent was gone before the worker was ready.
    ParentGone,
    /// 122: worker and parent do not fit each other; the reason is in the pool's error.
    HandshakeFailed,
    /// 123: the program was started as a worker but did not come to `mpm::init`, or the token had been used before.
    TokenSpent,
}

impl WorkerExit {
    const ALL: [Self; 5] = [Self::Finished, Self::LinkDamaged, Self::ParentGone, Self::HandshakeFailed, Self::TokenSpent];

    /// The number that the system sees.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Finished => 0,
            Self::LinkDamaged => 120,
            Self::ParentGone => 121,
            Self::HandshakeFailed => 122,
            Self::TokenSpent => 123,
        }
    }

    /// The meaning of `code`, if it is one of mpm's own.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Finished => "the worker ended as if it had been told to",
            Self::LinkDamaged => "its link could not be used any more; its last line on standard error says why",
            Self::ParentGone => "it found its parent gone",
            Self::HandshakeFailed => "it refused the handshake",
            Self::TokenSpent => "the program did not begin with mpm::init()",
        }
    }
}
