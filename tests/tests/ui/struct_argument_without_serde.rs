//! A struct whose jobs bring what cannot travel.

use mpm::{Worker, worker};

struct Opaque;

#[worker]
#[derive(Default)]
struct Counter;

impl Worker for Counter {
    type Args = Opaque;
    type Output = u32;

    fn run(&mut self, _opaque: Opaque) -> u32 {
        1
    }
}

fn main() {
    drop(Counter.run(Opaque));
}
