//! A benchmark program of a user's, with its own `main`: pools work there too. `cargo bench -p mpm-tests` runs it.

use std::time::Instant;

use mpm::{Pool, worker};

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    mpm::init();
    let pool = Pool::builder().workers(1).build().unwrap();
    let start = Instant::now();
    for n in 0..1000 {
        assert_eq!(pool.run(add::job(n, 1)).unwrap(), n + 1);
    }
    println!("a round trip takes {:?} on average", start.elapsed() / 1000);
}
