//! An object with generic parameters.

use std::marker::PhantomData;

use mpm::worker;

struct Store<T>(PhantomData<T>);

#[worker]
impl<T> Store<T>
where
    T: Clone,
{
    fn new() -> Self {
        Store(PhantomData)
    }
}

fn main() {
    Store::<u8>::new();
}
