//! The wrong number of arguments for a job.

use mpm::worker;

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    let _few = add::job(1);
    let _many = add::job(1, 2, 3);
}
