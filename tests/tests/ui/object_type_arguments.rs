//! An object of one type among many.

use mpm::worker;

struct Store<T>(T);

#[worker]
impl Store<u8> {
    fn new() -> Self {
        Store(1)
    }
}

fn main() {
    let _ = Store::new().0;
}
