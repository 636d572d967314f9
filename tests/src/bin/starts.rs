//! A program that starts a pool by the method that its first argument names, and prints what its workers have seen. The tests of
//! the start methods run it.

use std::env;
use std::sync::{Mutex, OnceLock};

use mpm::{Pool, StartMethod, worker};

/// What the environment held when `main` began.
static EARLY: OnceLock<Option<String>> = OnceLock::new();

/// The arguments that the preload job saw, and how often it ran.
static LOADED: Mutex<(Vec<String>, u32)> = Mutex::new((Vec::new(), 0));

fn variable() -> Option<String> {
    env::var("STARTS").ok()
}

/// Leaves its text in the buffer of standard output.
#[worker]
fn load() {
    let mut loaded = LOADED.lock().expect("a preload job alone");
    *loaded = (env::args().skip(1).collect(), loaded.1 + 1);
    print!("[loaded]");
}

/// What `main` saw early, what is there now, and what was preloaded.
#[worker]
fn look() -> (Option<String>, Option<String>, (Vec<String>, u32)) {
    (EARLY.get().cloned().flatten(), variable(), LOADED.lock().expect("a job alone").clone())
}

fn main() -> mpm::Result<()> {
    EARLY.get_or_init(variable);
    mpm::init();
    let method: StartMethod = env::args().nth(1).unwrap_or_default().parse()?;
    let pool = Pool::builder().workers(3).start(method).env("STARTS", "own").preload(load::job()).build()?;
    for look in pool.map::<look>((0..9).map(|_| ())) {
        let (early, now, (arguments, count)) = look?;
        println!("{early:?} {now:?} {arguments:?} {count}");
    }
    println!("{:?}", variable());
    pool.join();
    Ok(())
}
