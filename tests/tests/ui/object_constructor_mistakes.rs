//! Constructors that make nothing, or not now.

use mpm::worker;

struct Nothing;

#[worker]
impl Nothing {
    fn new() {}
}

struct Later;

#[worker]
impl Later {
    async fn new() -> Self {
        Later
    }
}

struct Again;

#[worker]
impl Again {
    fn new(&self) -> Self {
        Again
    }
}

struct Hidden;

#[worker]
impl Hidden {
    fn new() -> impl Sized {
        Hidden
    }
}

struct Generic;

#[worker]
impl Generic {
    fn new<T>(_of: T) -> Self {
        Generic
    }
}

struct Told;

#[worker]
impl Told {
    #[worker(timeout = "1s")]
    fn new() -> Self {
        Told
    }
}

fn main() {
    Nothing::new();
    drop(Later::new());
    Again.new();
    Hidden::new();
    Generic::new(1);
    Told::new();
}
