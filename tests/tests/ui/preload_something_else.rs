//! Things that cannot be preloaded.

use mpm::{Pool, worker};

#[worker]
fn load() -> u32 {
    1
}

struct Counter;

#[worker]
impl Counter {
    fn new() -> Self {
        Counter
    }
}

fn main() {
    drop(Pool::builder().preload(load::job()));
    drop(Pool::builder().preload(Counter::remote()));
    drop(Pool::builder().preload(&5));
}
