//! A struct that does not say what it does.

use mpm::worker;

#[worker]
#[derive(Default)]
struct Counter(u32);

fn main() {
    let _ = Counter::default().0;
}
