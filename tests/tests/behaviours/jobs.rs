//! The targets that every group of behaviours uses, and the pools that they run on.

use mpm::{Pool, worker};
use mpm_tests::wait_at;
use serde::{Deserialize, Serialize};

/// One worker, one per CPU of a small machine, and more than there are CPUs.
pub(crate) fn worker_counts() -> [usize; 3] {
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    [1, 2, 2 * cpus]
}

/// A pool with this many workers.
pub(crate) fn pool_of(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().expect("a pool")
}

#[worker]
pub(crate) fn double(n: u64) -> u64 {
    2 * n
}

/// The process that it runs in.
#[worker]
pub(crate) fn pid() -> u32 {
    std::process::id()
}

/// Waits at a gate and says which process it was.
#[worker]
pub(crate) fn pass(gate: &str) -> u32 {
    wait_at(gate);
    std::process::id()
}

/// The ways in which a worker can die of a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Way {
    NullWrite,
    Segfault,
    Abort,
    Exit(i32),
    Kill,
    Terminate,
    OutOfMemory,
    HugeVec,
    StackOverflow,
    DoublePanic,
}

impl Way {
    pub(crate) fn go(self) {
        eprintln!("about to die: {self:?}");
        match self {
            Self::NullWrite => mpm_tests::write_to_null(),
            // The handler of Rust's runtime takes the first one and steps aside.
            Self::Segfault => (0..2).for_each(|_| mpm_tests::raise(libc::SIGSEGV)),
            Self::Abort => std::process::abort(),
            Self::Exit(code) => std::process::exit(code),
            Self::Kill => mpm_tests::raise(libc::SIGKILL),
            Self::Terminate => mpm_tests::raise(libc::SIGTERM),
            Self::OutOfMemory => std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; 4096]>()),
            Self::HugeVec => drop(std::hint::black_box(vec![1_u8; std::hint::black_box(isize::MAX as usize)])),
            Self::StackOverflow => drop(std::hint::black_box(recurse(1))),
            Self::DoublePanic => {
                let _second = PanicsInDrop;
                panic!("the first panic");
            }
        }
        unreachable!("{self:?} was survived");
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("the second panic");
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    if std::hint::black_box(depth) == 0 { frame[0] } else { recurse(depth + 1) + frame[1] }
}

/// Dies in its own code.
#[worker]
pub(crate) fn die(way: Way) {
    way.go();
}
