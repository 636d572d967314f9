//! Arguments and results of an object that cannot travel.

use mpm::worker;

struct Opaque;

struct Counter;

#[worker]
impl Counter {
    fn new(_opaque: Opaque) -> Self {
        Counter
    }

    fn take(&self, _opaque: &Opaque) {}

    fn give(&self) -> Opaque {
        Opaque
    }
}

fn main() {
    let counter = Counter::new(Opaque);
    counter.take(&Opaque);
    counter.give();
}
