//! An object that cannot come from another thread, preloaded.

use std::rc::Rc;

use mpm::{Pool, worker};

struct Counter(Rc<u32>);

#[worker]
impl Counter {
    fn new() -> Self {
        Counter(Rc::new(1))
    }

    fn get(&self) -> u32 {
        *self.0
    }
}

fn main() {
    let counter = Counter::remote();
    drop(counter.get());
    drop(Pool::builder().preload(&counter));
}
