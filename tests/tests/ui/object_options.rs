//! Options that there are not, or not there.

use mpm::worker;

struct Counter;

#[worker(timeout = "1s", on_panic = "pray")]
impl Counter {
    fn new() -> Self {
        Counter
    }

    #[worker(colour = "red")]
    fn one(&self) {}

    #[worker(skip = true)]
    fn two(&self) {}

    #[worker(retries = 1)]
    #[worker(name = "three")]
    fn three(&self) {}

    #[worker = "skip"]
    fn four(&self) {}

    #[worker(skip)]
    fn five() {}
}

fn main() {
    let counter = Counter::new();
    counter.one();
    counter.two();
    counter.three();
    counter.four();
    Counter::five();
}
