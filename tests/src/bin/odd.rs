//! A program that uses mpm in the ways that are mistakes, one for each value of `ODD`. `tests/tests/init.rs` runs it and
//! looks at what becomes of it.

use std::time::Duration;

use mpm::{Pool, worker};

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    let is_worker = std::env::args().any(|arg| arg.starts_with("mpm-worker:") || arg.starts_with("mpm-template:"));
    let way = std::env::var("ODD");
    match way.as_deref() {
        // The worker takes another way through main than its parent did.
        Ok("forgets-in-the-worker") if is_worker => {}
        Ok("dies-before-init") if is_worker => {
            eprintln!("no licence file found");
            std::process::exit(7);
        }
        Ok("hangs-before-init") if is_worker => std::thread::park(),
        Ok("parses-arguments-first") if is_worker => {
            eprintln!("unexpected argument");
            std::process::exit(2);
        }
        Ok("threads-before-init") => {
            std::thread::spawn(std::thread::park);
            mpm::init();
        }
        _ => mpm::init(),
    }
    // One that hangs is the only one whose time is to run out.
    let time = if way.as_deref() == Ok("hangs-before-init") { Duration::from_millis(300) } else { Duration::from_secs(60) };
    let result = Pool::builder().workers(1).start_timeout(time).build().and_then(|pool| Ok(pool.run(add::job(1, 2))?));
    match result {
        Ok(sum) => println!("{sum}"),
        Err(error) => {
            println!("error: {error}");
            std::process::exit(1);
        }
    }
}
