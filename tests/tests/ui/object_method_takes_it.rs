//! Methods that would take the object away, or borrow it for longer than a job.

use mpm::worker;

struct Counter(u32);

#[worker]
impl Counter {
    fn new() -> Self {
        Counter(0)
    }

    fn into_count(self) -> u32 {
        self.0
    }

    fn boxed(self: Box<Self>) -> u32 {
        self.0
    }

    fn forever(&'static self) -> u32 {
        self.0
    }
}

fn main() {
    Counter::new().into_count();
    Box::new(Counter::new()).boxed();
    Box::leak(Box::new(Counter::new())).forever();
}
