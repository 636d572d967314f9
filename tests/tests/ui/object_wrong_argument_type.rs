//! A job of a method with an argument of another type.

use mpm::worker;

struct Counter(u32);

#[worker]
impl Counter {
    fn new(start: u32) -> Self {
        Counter(start)
    }

    fn add(&mut self, by: u32) {
        self.0 += by;
    }
}

fn main() {
    let counter = Counter::remote("one");
    drop(counter.add("two"));
}
