//! A struct with generic parameters.

use mpm::worker;

#[worker]
#[derive(Default)]
struct Counter<T>
where
    T: Clone,
{
    of: T,
}

fn main() {
    let _ = Counter::<u8>::default().of;
}
