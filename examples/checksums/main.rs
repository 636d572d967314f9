//! `checksums [--workers N] [--help] [PATH]`: the SHA-256 of every regular file below PATH, hashed in worker processes,
//! printed as `sha256sum` does and in the order of the paths.
//!
//! Paths are found while files are hashed, so hashing starts at once and memory stays bounded, however large the tree. What
//! goes wrong with a file, its worker's death included, is one complaint on standard error, and the rest goes on.

mod hash;
mod options;
mod screen;
mod walk;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;

use mpm::{JobError, Pool};

use hash::{Sum, hash_file};
use options::{Asked, HELP, Options, USAGE};
use screen::Screen;
use walk::Walk;

/// Some file or folder could not be read.
const TROUBLE: u8 = 1;
/// The command line makes no sense.
const MISUSED: u8 = 2;

#[mpm::main]
fn main() -> ExitCode {
    match options::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => screen::print_and_end(HELP),
        Ok(Asked::Checksums(options)) => checksums(&options),
        Err(reason) => misused(reason),
    }
}

fn misused(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("checksums: {reason}\n{USAGE}");
    ExitCode::from(MISUSED)
}

fn checksums(options: &Options) -> ExitCode {
    let mut builder = Pool::builder().name("checksums");
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let pool = match builder.build() {
        Ok(pool) => pool,
        Err(error) if error.is_setting() => return misused(error),
        Err(error) => {
            eprintln!("checksums: {error}");
            return ExitCode::from(TROUBLE);
        }
    };
    let screen = Screen::new();
    match print_all(options, &pool, &screen) {
        Ok(()) => {}
        // Nobody reads any more, as behind `| head`: there is nothing left to do, and nothing to say about it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => pool.kill(),
        Err(error) => {
            pool.kill();
            screen.complain(format_args!("standard output: {error}"));
        }
    }
    ExitCode::from(if screen.has_complained() { TROUBLE } else { 0 })
}

// ANCHOR: print_all
fn print_all(options: &Options, pool: &Pool, screen: &Screen) -> io::Result<()> {
    // The files whose checksums are on their way, in order.
    let under_way = RefCell::new(VecDeque::new());
    let paths = Walk::below(&options.path).filter_map(|found| match found {
        Ok(path) => {
            under_way.borrow_mut().push_back(path.clone());
            Some(path)
        }
        Err((path, error)) => {
            screen.complain_about(&path, error);
            None
        }
    });
    for outcome in pool.map::<hash_file>(paths) {
        let Some(path) = under_way.borrow_mut().pop_front() else { break };
        match outcome {
            Ok(Ok(Sum { digest, bytes })) => screen.print(&path, &digest, bytes)?,
            Ok(Err(unreadable)) => screen.complain_about(&path, unreadable),
            Err(JobError::PoolFailed(reason)) => {
                screen.complain(reason);
                break;
            }
            // The worker died with this file, say. The files after it are the work of other ones.
            Err(error) => screen.complain_about(&path, error),
        }
    }
    screen.finish()
}
// ANCHOR_END: print_all
