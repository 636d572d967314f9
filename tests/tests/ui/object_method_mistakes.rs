//! What holds for functions holds for methods.

use mpm::worker;

struct Counter(u32);

#[worker]
impl Counter {
    fn new() -> Self {
        Counter(0)
    }

    fn generic<T: Into<u32>>(&mut self, by: T) {
        self.0 += by.into();
    }

    fn opaque(&mut self, by: impl Into<u32>) {
        self.0 += by.into();
    }

    fn borrows(&self) -> &u32 {
        &self.0
    }

    async fn waits(&self) {}

    unsafe fn danger(&self) {}
}

fn main() {
    let mut counter = Counter::new();
    counter.generic(1u32);
    counter.opaque(1u32);
    counter.borrows();
    drop(counter.waits());
    let _ = Counter::danger;
}
