//! A target that never returns.

use mpm::worker;

#[worker]
fn forever() -> ! {
    loop {}
}

fn main() {}
